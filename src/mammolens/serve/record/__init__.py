"""The database of the node: tables, leases of work, and the audit trail.

Nothing here uses files, networks or models. The constraints of `tables` guarantee the rules.
`leases` shares the work among processes, and `attempts` handles failed work. There are three kinds
of work: jobs, deliveries and `steps`.
"""

from __future__ import annotations

from mammolens.serve.record import attempts, audit, leases, steps
from mammolens.serve.record.attempts import HeldWork
from mammolens.serve.record.audit import AuditHead
from mammolens.serve.record.clinical_tables import CLINICAL_ITEMS
from mammolens.serve.record.conditions import (
    CURRENT,
    IN_HANDS,
    IS_PRIOR,
    OVERTAKEN,
    SUPERSEDED,
    WAITS,
    batches,
    of_exam,
    without_readings,
)
from mammolens.serve.record.database import (
    Database,
    insert_once,
    look_into,
    open_database,
    server_time,
)
from mammolens.serve.record.failures import DIED, GIVEN_UP_NAME, POSTPONED, read_failures
from mammolens.serve.record.field_tables import CONSENTS, SHARES
from mammolens.serve.record.forms import MOST_ID, Form, Line, Moment, Number
from mammolens.serve.record.header_tables import HEADERS
from mammolens.serve.record.heartbeat import Pulse, beating, count_present, present
from mammolens.serve.record.leases import Lease
from mammolens.serve.record.monitor_tables import (
    ALARMS,
    ALERTS,
    MONITORS,
    OBSERVATIONS,
    AlertKind,
    Channel,
)
from mammolens.serve.record.outcome_tables import (
    DECISIONS,
    OUTCOMES,
    REPORTS,
    SHADOW_SCORES,
    OutcomeState,
    without_outcomes,
)
from mammolens.serve.record.overview import overview_lines, read_overview
from mammolens.serve.record.people_tables import (
    API_TOKENS,
    PEOPLE,
    ROLES,
    SESSIONS,
    SITES,
    ExamOrder,
    PersonRole,
    ReadingMode,
    SignInMethod,
)
from mammolens.serve.record.phone_tables import DEVICES, REPEATS
from mammolens.serve.record.reading_tables import (
    ADDENDA,
    AI_VIEWS,
    NOTICES,
    OPINIONS,
    READINGS,
    RECALLS,
    ROUNDS,
    ReadingRole,
    ReadingSlot,
    ReadingState,
    RoundState,
)
from mammolens.serve.record.rows import Page, from_row, page_of
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
    Role,
    WorkState,
)
from mammolens.serve.record.viewing_tables import (
    OVERLAYS,
    PICTURES,
    PREFERENCES,
    UPLOAD_MEMBERS,
    UPLOADS,
    PictureState,
    UploadState,
)
from mammolens.serve.record.worklist_columns import UNKNOWN_RANK
from mammolens.serve.record.worklist_rows import (
    ExamHeader,
    Verdict,
    doubt_verdict,
    enter_header,
    enter_verdict,
    enter_views,
    fold,
)

__all__ = [
    "ADDENDA",
    "AI_VIEWS",
    "ALARMS",
    "ALERTS",
    "API_TOKENS",
    "AUDIT",
    "CLINICAL_ITEMS",
    "COMMITMENTS",
    "CONSENTS",
    "CURRENT",
    "DECISIONS",
    "DELIVERIES",
    "DEVICES",
    "DIED",
    "EXAMS",
    "FILES",
    "GIVEN_UP_NAME",
    "HEADERS",
    "IDENTITIES",
    "INSTANCES",
    "IN_HANDS",
    "IS_PRIOR",
    "JOBS",
    "KEYRING",
    "MONITORS",
    "MOST_ID",
    "NOTICES",
    "OBSERVATIONS",
    "OPINIONS",
    "OUTCOMES",
    "OVERLAYS",
    "OVERTAKEN",
    "PEOPLE",
    "PICTURES",
    "POSTPONED",
    "PREFERENCES",
    "PRIORS",
    "READINGS",
    "RECALLS",
    "REPEATS",
    "REPORTS",
    "RESULTS",
    "ROLES",
    "ROUNDS",
    "SESSIONS",
    "SHADOW_SCORES",
    "SHARES",
    "SITES",
    "STEPS",
    "SUPERSEDED",
    "UNKNOWN_RANK",
    "UPLOADS",
    "UPLOAD_MEMBERS",
    "WAITS",
    "AlertKind",
    "AuditHead",
    "Channel",
    "Database",
    "ExamHeader",
    "ExamOrder",
    "Form",
    "HeldWork",
    "Lease",
    "Line",
    "Moment",
    "Number",
    "OutcomeState",
    "Page",
    "PersonRole",
    "PictureState",
    "Pulse",
    "ReadingMode",
    "ReadingRole",
    "ReadingSlot",
    "ReadingState",
    "Role",
    "RoundState",
    "SignInMethod",
    "Step",
    "StepLost",
    "UploadState",
    "Verdict",
    "WorkState",
    "attempts",
    "audit",
    "batches",
    "beating",
    "count_present",
    "doubt_verdict",
    "ensure_site",
    "enter_header",
    "enter_verdict",
    "enter_views",
    "fold",
    "from_row",
    "insert_once",
    "leases",
    "look_into",
    "of_exam",
    "open_database",
    "overview_lines",
    "page_of",
    "present",
    "read_failures",
    "read_overview",
    "server_time",
    "steps",
    "without_outcomes",
    "without_readings",
]
