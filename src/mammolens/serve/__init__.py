"""The node beside a PACS: images come in, results go out, and nothing is lost between.

sender → `intake.receive` (stored and acknowledged, never analysed there) → `queue` (an exam becomes
due, a job is claimed) → `worker` (analysis, sinks) → results and deliveries, all told in `audit`.
Files lie in two `store.Store` folders under the names of their content; everything else is rows of
one `database.Database`. Whatever process ends at whatever instant, what was acknowledged is kept.
"""

__all__: list[str] = []
