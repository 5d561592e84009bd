/** Route → page. Pages that few people need are loaded when they are opened. */

import { lazy, Suspense } from "react";
import { administers, examinesAlone, hasRole } from "../logic/rights";
import { isLookBack, numberOf, type Route } from "../logic/route";
import { useDesk } from "../parts/app_context";
import { Busy } from "../parts/form";
import { ExamPage } from "./exam/exam_page";
import { WorklistPage } from "./worklist/worklist_page";

const UploadPage = lazy(() => import("./upload/upload_page"));
const AnalysisPage = lazy(() => import("./analysis/analysis_page"));
const FieldPage = lazy(() => import("./field/field_page"));
const PeoplePage = lazy(() => import("./admin/people_page"));
const SitesPage = lazy(() => import("./admin/sites_page"));
const AuditPage = lazy(() => import("./admin/audit_page"));
const MonitorPage = lazy(() => import("./monitor/monitor_page"));
const AccountPage = lazy(() => import("./account/account_page"));
const DevicePage = lazy(() => import("./device/device_page"));
const OpinionsPage = lazy(() => import("./lists/opinions_page"));
const NoticesPage = lazy(() => import("./lists/notices_page"));
const RecallsPage = lazy(() => import("./lists/recalls_page"));
const OutcomeQueuePage = lazy(() => import("./outcomes/queue_page"));
const OutcomePage = lazy(() => import("./outcomes/outcome_page"));
const SiteAuditPage = lazy(() => import("./outcomes/site_audit_page"));
const PatientPage = lazy(() => import("./lists/patient_page"));

export function Pages({ route }: { route: Route }) {
  const { words } = useDesk();
  return (
    <Suspense fallback={<Busy text={words.say("app.loading")} />}>
      <OnePage route={route} />
    </Suspense>
  );
}

function OnePage({ route }: { route: Route }) {
  const { person } = useDesk();
  const exam = numberOf(route.id);
  switch (route.page) {
    case "exams":
      return exam === null ? (
        <WorklistPage route={route} />
      ) : (
        <ExamPage id={exam} isArbitration={false} isLookBack={isLookBack(route)} />
      );
    case "arbitration":
      return exam === null ? (
        <WorklistPage route={route} title="arbitration" />
      ) : (
        <ExamPage id={exam} isArbitration />
      );
    case "patients":
      return <PatientPage patient={route.id ?? ""} />;
    case "upload":
      return <UploadPage />;
    case "analysis":
      return examinesAlone(person) ? <NotAllowed /> : <AnalysisPage />;
    case "field":
      return hasRole(person, "health_worker") ? <FieldPage /> : <NotAllowed />;
    case "opinions":
      return <OpinionsPage />;
    case "notices":
      return <NoticesPage />;
    case "recalls":
      return <RecallsPage />;
    case "outcomes":
      return exam === null ? <OutcomeQueuePage /> : <OutcomePage key={exam} id={exam} />;
    case "site-audit":
      return administers(person) ? <SiteAuditPage /> : <NotAllowed />;
    case "account":
      return <AccountPage />;
    case "device":
      return <DevicePage />;
    case "people":
      return administers(person) ? <PeoplePage /> : <NotAllowed />;
    case "sites":
      return administers(person) ? <SitesPage /> : <NotAllowed />;
    case "audit":
      return administers(person) ? <AuditPage /> : <NotAllowed />;
    case "monitor":
      return administers(person) ? <MonitorPage id={exam} /> : <NotAllowed />;
    case "worklist":
      return <WorklistPage route={route} />;
  }
}

function NotAllowed() {
  const { words } = useDesk();
  return <p className="page">{words.say("problem.not_allowed")}</p>;
}
