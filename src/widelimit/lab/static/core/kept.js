// A record of the store for a component: it follows changes made here, in another tab, by an import or a deletion.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { read, subscribe, write } from "lab/core/store.js";

/** [value, keep]: the value of a record, or `fallback`, and a function that writes it. */
export function useKept(name, fallback) {
  const value = useSignal(read(name) ?? fallback);
  useEffect(() => {
    const refresh = () => (value.value = read(name) ?? fallback);
    refresh();
    return subscribe(name, refresh);
  }, [name]);
  return [value.value, (next) => write(name, next)];
}
