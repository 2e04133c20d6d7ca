// The token of the address the server printed: moved from the fragment to the storage of this tab.

const NAME = "widelimit-token";
const FRAGMENT = /^#token=([\w-]+)$/;

/** Whether the address of this tab brings a token. */
export const bringsToken = () => FRAGMENT.test(location.hash);

export function takeToken() {
  const match = FRAGMENT.exec(location.hash);
  if (match) {
    sessionStorage.setItem(NAME, match[1]);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(NAME) ?? "";
}
