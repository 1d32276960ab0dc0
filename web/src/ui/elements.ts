/** The element with this id, which index.html has. */
export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found as T;
}

/** Sets a text if it differs. */
export function setText(id: string, text: string): void {
  const found = element(id);
  if (found.textContent !== text) found.textContent = text;
}
