"""People: who may sign in, what they may do at which site, and what shows that it is them.

Nothing here knows of HTTP. Accounts, sessions and API tokens are rows of the database, and what
may happen once (a code, a change of a password, the first administrator) is held there too.
"""

from __future__ import annotations

from mammolens.serve.people.accounts import (
    close_account,
    list_people,
    open_account,
    read_email,
    read_person,
    set_administrator,
    set_display_name,
    set_email,
    set_roles,
)
from mammolens.serve.people.api_tokens import (
    ApiToken,
    find_by_token,
    list_tokens,
    make_token,
    revoke_token,
)
from mammolens.serve.people.attempts import of_provider, of_share
from mammolens.serve.people.devices import (
    Device,
    add_device,
    list_devices,
    release_key,
    wipe_device,
    wipe_devices_of,
)
from mammolens.serve.people.invitations import (
    Invited,
    first_administrator,
    invite,
    renew_administrator,
    renew_password,
)
from mammolens.serve.people.passwords import LEAST_CHARS
from mammolens.serve.people.person import Named, Person, find_person
from mammolens.serve.people.provider import FLOW_S, Provider, open_provider
from mammolens.serve.people.refusals import Refusal, Refused, change_one, one_row
from mammolens.serve.people.second_factor import Offer, offer_second_factor
from mammolens.serve.people.sessions import (
    Origin,
    Session,
    SessionNote,
    Stage,
    end_other_sessions,
    end_session,
    end_sessions_of,
    find_session,
    list_sessions,
    new_secret,
    secret_hash,
    session_holds,
)
from mammolens.serve.people.sign_in import SignIns
from mammolens.serve.people.sites import (
    Site,
    assign_exam,
    is_asked,
    list_sites,
    make_site,
    read_site,
    rename_site,
    set_reading,
    visible_exam,
    visible_exams,
)

__all__ = [
    "FLOW_S",
    "LEAST_CHARS",
    "ApiToken",
    "Device",
    "Invited",
    "Named",
    "Offer",
    "Origin",
    "Person",
    "Provider",
    "Refusal",
    "Refused",
    "Session",
    "SessionNote",
    "SignIns",
    "Site",
    "Stage",
    "add_device",
    "assign_exam",
    "change_one",
    "close_account",
    "end_other_sessions",
    "end_session",
    "end_sessions_of",
    "find_by_token",
    "find_person",
    "find_session",
    "first_administrator",
    "invite",
    "is_asked",
    "list_devices",
    "list_people",
    "list_sessions",
    "list_sites",
    "list_tokens",
    "make_site",
    "make_token",
    "new_secret",
    "of_provider",
    "of_share",
    "offer_second_factor",
    "one_row",
    "open_account",
    "open_provider",
    "read_email",
    "read_person",
    "read_site",
    "release_key",
    "rename_site",
    "renew_administrator",
    "renew_password",
    "revoke_token",
    "secret_hash",
    "session_holds",
    "set_administrator",
    "set_display_name",
    "set_email",
    "set_reading",
    "set_roles",
    "visible_exam",
    "visible_exams",
    "wipe_device",
    "wipe_devices_of",
]
