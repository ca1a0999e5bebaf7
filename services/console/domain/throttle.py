"""Against guessing at sign-in: per login and over all logins, in bounded memory.

It counts failures of this process alone; it is a brake, the strength of passwords is the wall.
Time is handed in, as seconds of any clock that only runs forward.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """So many failures within so many seconds; the number of logins that are remembered."""

    per_login: int = 8
    login_seconds: float = 300.0
    overall: int = 100
    overall_seconds: float = 60.0
    logins: int = 10_000


@dataclass(slots=True)
class Throttle:
    """Failures at sign-in."""

    limits: Limits = field(default_factory=Limits)
    _by_login: OrderedDict[bytes, deque[float]] = field(default_factory=OrderedDict)
    _all: deque[float] = field(default_factory=deque)

    def wait_seconds(self, login: str, now: float) -> float:
        """How long until this login may be tried again; 0 is at once."""
        limits = self.limits
        own = self._by_login.get(_key(login), deque())
        return max(
            _wait(own, now, most=limits.per_login, seconds=limits.login_seconds),
            _wait(self._all, now, most=limits.overall, seconds=limits.overall_seconds),
        )

    def failed(self, login: str, now: float) -> None:
        """A wrong attempt, whether or not the login exists."""
        key = _key(login)
        own = self._by_login.pop(key, None) or deque(maxlen=self.limits.per_login)
        own.append(now)
        self._by_login[key] = own
        while len(self._by_login) > self.limits.logins:
            self._by_login.popitem(last=False)
        self._all.append(now)
        while len(self._all) > self.limits.overall:
            self._all.popleft()

    def succeeded(self, login: str) -> None:
        self._by_login.pop(_key(login), None)

    @property
    def remembered(self) -> int:
        return len(self._by_login)


def _key(login: str) -> bytes:
    # What people type into this field is at times their password: only a digest is kept.
    return hashlib.sha256(login.strip().casefold().encode()).digest()


def _wait(failures: deque[float], now: float, *, most: int, seconds: float) -> float:
    recent = [at for at in failures if now - at < seconds]
    if len(recent) < most:
        return 0.0
    return recent[-most] + seconds - now
