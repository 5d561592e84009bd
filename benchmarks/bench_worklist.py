"""p95 of the worklist over 10,000 generated exams, in the modes of reading."""
import random, statistics, sys, time, json
from datetime import UTC, datetime, timedelta
import sqlalchemy as sa
from mammolens.serve.record import *
from mammolens.serve.record import open_database
from mammolens.serve.record.worklist_rows import fold
from mammolens.serve.people import Person
from mammolens.serve import worklist
from mammolens.serve.worklist import Question, ListOrder, ExamStatus
url = sys.argv[1]
N = 10000
db = open_database(url)
rng = random.Random(1)
now = datetime(2026, 3, 1, tzinfo=UTC)
with db.write() as c:
    if c.execute(sa.select(sa.func.count(EXAMS.c.id))).scalar_one() == 0:
        for i in range(1, 6):
            c.execute(SITES.insert().values(id=i, key=f"s{i}", name=f"Site {i}", created_at=now))
        for i in range(1, 21):
            c.execute(PEOPLE.insert().values(id=i, name=f"p{i}", display_name=f"P {i}", is_administrator=False, totp_step=0, created_at=now))
        rows, inst = [], []
        for i in range(1, N + 1):
            at = now - timedelta(minutes=rng.randrange(500000))
            cat = rng.choices(["high", "failed", "withheld", "intermediate", "low", None], [3, 1, 10, 30, 50, 6])[0]
            name = f"{rng.choice(['Muller','Maier','Schmidt','Smith','Jones'])}{rng.randrange(3000)}^{rng.choice(['Anne','Eva','Mia'])}"
            rows.append(dict(id=i, study_instance_uid=f"1.2.{i}", identity=f"{i:064x}", patient_id=f"P{i//2}", accession_number=f"A{i}", first_received_at=at, last_received_at=at, version=4, queued_version=4, four_views=True, site_id=rng.randrange(1, 6), patient_name=name, birth_date="1960-01-01", study_date=at.date().isoformat(), patient_key=f"{i//2:064x}", search_text=fold(f"{name} P{i//2} A{i} {at.date()}"), views="RCC LCC RMLO LMLO", rank={"high":0,"failed":1,"withheld":2,None:2,"intermediate":3,"low":4}[cat], category=cat, score=None if cat in (None,"failed") else rng.random(), prevalence=0.01, doubts="[]", model="m 1", revision=1))
            for n, v in enumerate(("RCC", "LCC", "RMLO", "LMLO")):
                inst.append(dict(sop_instance_uid=f"1.2.{i}.{n}", sop_class_uid="1", digest=f"{i:032x}{n:032x}", size=1, role="input", view=v, exam_id=i, exam_version=1, sender="x", received_at=at))
        c.execute(EXAMS.insert(), rows)
        c.execute(INSTANCES.insert(), inst)
        rid = 0
        for i in range(1, N + 1):
            if rng.random() < 0.6:
                rid += 1
                decided = rng.random() < 0.9
                c.execute(ROUNDS.insert().values(id=rid, exam_id=i, number=1, is_double=False, state="decided" if decided else "open", version=4 if decided else None, opened_at=now, decided_at=now if decided else None))
                c.execute(READINGS.insert().values(id=rid, exam_id=i, round_id=rid, person_id=rng.randrange(1, 21), role="reader", state="signed" if decided else "draft", slot="first" if decided else None, mode="second_reader", exam_version=4, edition=1, answer="{}", first_answer="{}" if decided else None, first_version=4 if decided else None, blinded=True if decided else None, created_at=now, changed_at=now, locked_at=now if decided else None, signed_at=now if decided else None))
if not db.is_sqlite:
    with db.write() as c: pass
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c: c.execute(sa.text("ANALYZE"))
person = Person(1, "p1", "P 1", False, True, False, False, True, now, {1: frozenset({PersonRole.READER}), 2: frozenset({PersonRole.READER}), 3: frozenset({PersonRole.READER})})
admin = Person(2, "p2", "P 2", True, True, False, False, True, now, {})
OPEN = (ExamStatus.WAITING, ExamStatus.ANALYSING, ExamStatus.NEW, ExamStatus.IN_READING, ExamStatus.READ, ExamStatus.ARBITRATION)
qs = {"all": Question(), "open": Question(status=OPEN), "new": Question(status=(ExamStatus.NEW,)), "words": Question(words="muller 12"), "category": Question(categories=("high",)), "received": Question(order=ListOrder.RECEIVED), "patient": Question(order=ListOrder.PATIENT), "reader": Question(reader=1)}
views = ("RCC", "LCC", "RMLO", "LMLO")
for modes in ("concurrent", "second_reader", "mixed"):
    with db.write() as c:
        c.execute(SITES.update().values(reading_mode="concurrent" if modes != "second_reader" else modes))
        if modes == "mixed": c.execute(SITES.update().where(SITES.c.id == 1).values(reading_mode="second_reader"))
    for who, p in (("reader of 3 sites", person), ("administrator", admin)):
        for name, q in qs.items():
            ts, deep = [], []
            for _ in range(25):
                t = time.perf_counter()
                with db.read() as c: page = worklist.list_exams(c, p, q, views)
                ts.append((time.perf_counter() - t) * 1000)
            after = page.next
            while after and len(deep) < 25:
                t = time.perf_counter()
                with db.read() as c: page = worklist.list_exams(c, p, q, views, after)
                deep.append((time.perf_counter() - t) * 1000); after = page.next
            p95 = lambda x: sorted(x)[int(len(x) * .95)] if x else 0
            print(f"{modes:14} {who:18} {name:9} total {page.total:5} median {statistics.median(ts):6.1f} p95 {p95(ts):6.1f} ms; further pages p95 {p95(deep):6.1f}")
