"""Walk 2: CDC's laboratory reports, as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tests.journey.harness import Outpost
from tests.journey.messages import Acknowledgement
from tests.journey.stage import Area, Place, Source, register

COUNTRY = Area("us:00", "country", "United States")
MONTGOMERY = Area("us:01101", "county", "Montgomery, Alabama", "us:00", "America/Chicago")
PULASKI = Area("us:05119", "county", "Pulaski, Arkansas", "us:00", "America/Chicago")
LABORATORIES = (
    Place("montgomery laboratory", "hospital", "us:01101"),
    Place("little rock laboratory", "hospital", "us:05119"),
)
PRESUMPTIVE = "AL_PHLIP_251_COVID_CDC_conc-Det.hl7"
BATCH = "COVID-Test_Full_Batch_Headers_One_Message_v2_5_1.hl7"
ENHANCED = "EnhancedELR_COVID19_Example.hl7"


def _laboratory(name: str, facility: tuple[str, str], place: str) -> Source:
    return Source(name, "laboratory", facility, place, "America/Chicago", "test")


MONTGOMERY_LABORATORY = _laboratory(
    "montgomery",
    ("AL.Montgomery.SPHL", "2.16.840.1.114222.4.1.11476"),
    "montgomery laboratory",
)
SENDERS = (
    MONTGOMERY_LABORATORY,
    _laboratory("batch", ("COVID-Test", "2.16.840.1.114222.4.9.1111"), "little rock laboratory"),
    _laboratory(
        "little rock",
        ("AR.LittleRock.SPHL", "2.16.840.1.114222.4.1.20083"),
        "little rock laboratory",
    ),
)


async def register_laboratories(outpost: Outpost, *, mode: str = "test") -> None:
    await register(outpost, COUNTRY, MONTGOMERY, PULASKI, *LABORATORIES)
    await register(outpost, *(replace(sender, mode=mode) for sender in SENDERS))


async def post_reports(
    outpost: Outpost, files: Mapping[str, bytes], order: Iterable[str]
) -> dict[str, bytes]:
    """One after the other; every report is accepted, the batch with one answer for its message."""
    replies = {}
    for name in order:
        response = await outpost.hl7(files[name])
        assert response.status_code == 200, response.text
        reply = response.content
        if name == BATCH:
            reply = reply[reply.index(b"MSH|") :]
        assert Acknowledgement.read(reply).code == "AA", name
        replies[name] = response.content
    await outpost.settled()
    return replies
