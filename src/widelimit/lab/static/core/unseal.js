// Sealed texts for a component: what was fetched, or a sentence about why it could not be.

import { useSignal } from "@preact/signals";
import { sealed } from "lab/core/page.js";

/** { open, trouble }: `open(key)` resolves to the sealed value, or to null after having said so in `trouble`. */
export function useSeal() {
  const trouble = useSignal("");
  const open = async (key) => {
    try {
      const found = await sealed(key);
      trouble.value = "";
      return found;
    } catch {
      trouble.value = "The text could not be fetched: the server of this page does not answer. Start it again, then try once more.";
      return null;
    }
  };
  return { open, trouble: trouble.value };
}
