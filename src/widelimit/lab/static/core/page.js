// What the server wrote into the page: objects by key and the data of every part.

export const page = JSON.parse(document.getElementById("page-data").textContent);

/** Text kept back until a prediction is committed or a hint is asked for. */
export async function sealed(key) {
  if (page.sealed) return page.sealed[key];
  const answer = await fetch(`/sealed/${key}`);
  if (!answer.ok) throw new Error(`There is nothing under ${key}.`);
  return answer.json();
}
