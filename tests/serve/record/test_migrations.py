"""Databases of every version: what a migration made does not change, and each can be updated."""

from __future__ import annotations

import hashlib
import re

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext

from mammolens.serve.record import open_database, schema
from mammolens.serve.record.tables import METADATA

MADE = {
    "v0001": "a2e3c87b6b97c4c3",
    "v0002": "fea6cdc5f70aea0e",
    "v0003": "00ba969cd09a07da",
    "v0004": "d0f8f840e58808f8",
    "v0005": "ffb33bb9c3575630",
    "v0006": "a3b696f24b30f1dc",
    "v0007": "c63abee68fd4694a",
    "v0008": "b419467a7b82afaf",
    "v0009": "ca1713e8de5c5337",
    "v0010": "5c5525c93b595739",
    "v0011": "7021cbaf78d83053",
    "v0012": "a984883f9a124983",
    "v0013": "5250319e0b0c0f8b",
    "v0014": "38dd3f9d473b2b41",
    "v0015": "f2970f75c413d96a",
}
"""SHA-256 of the tables and indexes of each version on SQLite, the first 16 digits.

If one of these changes, a part of a table is new: mark it with `since` and its version.
"""
VERSIONS = sorted(script.revision for script in schema._scripts()[1].walk_revisions())


def migrate_to(url: str, target: str) -> None:
    """Bring an empty database to a version."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    config, scripts = schema._scripts()
    with (
        engine.begin() as connection,
        EnvironmentContext(
            config, scripts, fn=lambda held, _: scripts._upgrade_revs(target, held)
        ) as environment,
    ):
        environment.configure(connection=connection)
        environment.run_migrations()
    engine.dispose()


def statements(url: str) -> list[str]:
    """Give what makes the tables and indexes, whatever the order of constraints."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        made = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
        texts = list(made.scalars())
    engine.dispose()
    return sorted("|".join(sorted(re.findall(r"[^\s\",()]+", text))) for text in texts)


def test_there_is_a_digest_of_every_version():
    assert sorted(MADE) == VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_is_what_it_was(tmp_path, version):
    url = f"sqlite:///{tmp_path / 'node.sqlite'}"
    migrate_to(url, version)
    found = hashlib.sha256("\n".join(statements(url)).encode()).hexdigest()[:16]
    assert found == MADE[version]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_can_be_updated(url, version):
    migrate_to(url, version)
    database = open_database(url)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, METADATA)
    database.close()
    assert differences == []


def test_people_keep_their_roles_when_more_roles_are_allowed(url):
    migrate_to(url, "v0010")
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    now = "'2026-03-01 12:00:00.000000'"
    no = "0" if engine.dialect.name == "sqlite" else "false"
    with engine.begin() as connection:
        run = connection.exec_driver_sql
        run(f"INSERT INTO sites (id, key, name, created_at) VALUES (1, 'k', 'n', {now})")
        run(
            "INSERT INTO people (id, name, display_name, is_administrator, totp_step, created_at)"
            f" VALUES (1, 'p', 'P', {no}, 0, {now})"
        )
        run("INSERT INTO roles (person_id, site_id, role) VALUES (1, 1, 'reader')")
    engine.dispose()
    database = open_database(url)
    with database.write() as connection:
        connection.execute(sa.text("INSERT INTO roles VALUES (1, 1, 'health_worker')"))
        roles = connection.execute(sa.text("SELECT role FROM roles ORDER BY role")).scalars().all()
    database.close()
    assert roles == ["health_worker", "reader"]
