"""The node beside a PACS: it receives images, has them analysed, and delivers the results.

sender → `dimse`, `web` → `intake` (stored and acknowledged, never analysed there) → `work` (an exam
becomes due, a job is claimed, analysed, its result entered) → `delivery`, or back to whoever
asked by a procedure step (`ups`). Files lie in `holdings` under the names of their content;
everything else is rows of the one database that `record` keeps, the audit trail among them. Each
room has one door, imports between them point downward, and `commands` opens what a process needs.
Whatever process ends at whatever instant, what was acknowledged is kept.
"""

__all__: list[str] = []
