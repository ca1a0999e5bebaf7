"""`keys` and `staff`: credentials of machines and people."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from uuid import UUID

import click

from services.commands.session import with_admin
from shared.credentials import (
    Grant,
    NewStaff,
    add_staff,
    issue_key,
    list_clients,
    revoke_key,
    role_permissions,
    rotate_key,
)
from shared.service import Service


def keys_of(services: Sequence[Service]) -> click.Group:
    """The group, for the routes of these services."""
    known = permissions_of(services) | role_permissions()

    @click.group()
    def keys() -> None:
        """API keys of machine clients."""

    @keys.command("issue")
    @click.argument("name")
    @click.option(
        "--scope", "scopes", multiple=True, required=True, help="scans.write, reports.write, …"
    )
    @click.option("--area", "areas", multiple=True, default=["*"], help="area id; * is everywhere")
    @click.option("--source", type=click.UUID, default=None, help="the source it speaks for")
    @click.option("--days", type=int, default=None, help="days until it expires")
    def issue(
        name: str,
        scopes: tuple[str, ...],
        areas: tuple[str, ...],
        source: UUID | None,
        days: int | None,
    ) -> None:
        """Make a client; its key is printed once and cannot be read again."""
        unknown = sorted(set(scopes) - known)
        if unknown:
            raise click.ClickException(
                f"no scope {', '.join(unknown)}. known scopes: {', '.join(sorted(known))}"
            )
        grant = Grant(scopes, areas, source, days)
        click.echo(with_admin(lambda engine: issue_key(engine, name, grant)))

    for command in (rotate, revoke, list_all):
        keys.add_command(command)
    return keys


def permissions_of(services: Sequence[Service]) -> set[str]:
    """What the routes ask for: a key with a misspelt scope would open nothing."""
    routes = (route for one in services for router in one.routers for route in router.routes)
    asked = ((getattr(route, "openapi_extra", None) or {}).get("x-permission") for route in routes)
    return {permission for permission in asked if permission}


@click.command("rotate")
@click.argument("name")
@click.option("--overlap-hours", type=float, default=24.0, help="how long the old key stays good")
def rotate(name: str, overlap_hours: float) -> None:
    """A new key for a client, while the old one still opens."""
    click.echo(with_admin(lambda engine: rotate_key(engine, name, overlap_hours=overlap_hours)))


@click.command("revoke")
@click.argument("name")
def revoke(name: str) -> None:
    """Shut a client out, within five seconds everywhere."""
    with_admin(lambda engine: revoke_key(engine, name))
    click.echo(f"revoked {name}")


@click.command("list")
def list_all() -> None:
    """Every client, without secrets."""
    for row in with_admin(list_clients):
        state = "revoked" if row["revoked_at"] else "live"
        click.echo(
            f"{row['name']}\t{state}\t{','.join(row['scopes'])}\t{','.join(row['area_ids'])}"
        )


@click.group()
def staff() -> None:
    """People who sign in at the console."""


@staff.command("set")
@click.argument("login")
@click.option("--role", "roles", multiple=True, required=True, help="duty_officer, tracer, …")
@click.option("--area", "areas", multiple=True, default=["*"], help="area id; * is everywhere")
@click.option("--password", default=None, help="leave out to have one made and printed")
def set_staff(
    login: str, roles: tuple[str, ...], areas: tuple[str, ...], password: str | None
) -> None:
    """Add a person, or give a known one a new password, roles and areas (ends open sessions)."""
    chosen = password or secrets.token_urlsafe(12)
    with_admin(lambda engine: add_staff(engine, NewStaff(login, chosen, roles, areas)))
    click.echo(f"{login} {chosen}" if password is None else login)
