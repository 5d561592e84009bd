"""What the node knows: one database, its tables, who holds which work, and the audit trail.

Nothing here knows of files, networks or models. The constraints of `tables` keep the promises, and
`leases` shares work out; jobs, deliveries and `steps` are three kinds of it.
"""

from __future__ import annotations

from mammolens.serve.record import audit, leases, steps
from mammolens.serve.record.audit import AuditHead
from mammolens.serve.record.database import (
    Database,
    insert_once,
    look_into,
    open_database,
    server_time,
)
from mammolens.serve.record.exams import (
    ExamFilter,
    ExamRow,
    ExamState,
    ExamStory,
    FoundExams,
    find_exams,
    is_overtaken,
    read_exam,
)
from mammolens.serve.record.leases import Lease
from mammolens.serve.record.overview import read_overview, say_overview
from mammolens.serve.record.people_tables import (
    API_TOKENS,
    PEOPLE,
    ROLES,
    SESSIONS,
    SITES,
    PersonRole,
    SignInMethod,
)
from mammolens.serve.record.presence import count_present, present
from mammolens.serve.record.pulse import Pulse, beating
from mammolens.serve.record.sites import ensure_site
from mammolens.serve.record.steps import Step, StepLost
from mammolens.serve.record.tables import (
    AUDIT,
    COMMITMENTS,
    DELIVERIES,
    EXAMS,
    FILES,
    IDENTITIES,
    INSTANCES,
    JOBS,
    KEYRING,
    PRIORS,
    RESULTS,
    STEPS,
    WAITS,
    Role,
    WorkState,
)
from mammolens.serve.record.trouble import DIED, GIVEN_UP_NAME, POSTPONED, read_trouble

__all__ = [
    "API_TOKENS",
    "AUDIT",
    "COMMITMENTS",
    "DELIVERIES",
    "DIED",
    "EXAMS",
    "FILES",
    "GIVEN_UP_NAME",
    "IDENTITIES",
    "INSTANCES",
    "JOBS",
    "KEYRING",
    "PEOPLE",
    "POSTPONED",
    "PRIORS",
    "RESULTS",
    "ROLES",
    "SESSIONS",
    "SITES",
    "STEPS",
    "WAITS",
    "AuditHead",
    "Database",
    "ExamFilter",
    "ExamRow",
    "ExamState",
    "ExamStory",
    "FoundExams",
    "Lease",
    "PersonRole",
    "Pulse",
    "Role",
    "SignInMethod",
    "Step",
    "StepLost",
    "WorkState",
    "audit",
    "beating",
    "count_present",
    "ensure_site",
    "find_exams",
    "insert_once",
    "is_overtaken",
    "leases",
    "look_into",
    "open_database",
    "present",
    "read_exam",
    "read_overview",
    "read_trouble",
    "say_overview",
    "server_time",
    "steps",
]
