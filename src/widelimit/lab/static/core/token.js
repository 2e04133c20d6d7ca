// The token of the address the server printed: moved from the fragment to the storage of this tab.

const NAME = "widelimit-token";

export function takeToken() {
  const match = /^#token=([\w-]+)$/.exec(location.hash);
  if (match) {
    sessionStorage.setItem(NAME, match[1]);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(NAME) ?? "";
}
