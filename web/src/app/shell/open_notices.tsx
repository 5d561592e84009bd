/** How many urgent findings wait for somebody; on every page, as they cannot wait. */

import { useEffect } from "react";
import { useDesk } from "../parts/app_context";
import { useLoad } from "../parts/hooks";

export function OpenNotices() {
  const { words, apis, events } = useDesk();
  const { data, reload } = useLoad(apis.followUp.openNotices, "open notices");
  useEffect(
    () =>
      events.listen(({ name }) => {
        if (["reading.changed", "connected", "reload"].includes(name)) reload();
      }),
    [events, reload],
  );
  const count = data?.items.length ?? 0;
  if (count === 0) return null;
  const shown = data?.next == null ? String(count) : `${count}+`;
  return (
    <span className="count">
      <span aria-hidden="true">{shown}</span>
      <span className="hidden">{words.say("notice.count", { n: shown })}</span>
    </span>
  );
}
