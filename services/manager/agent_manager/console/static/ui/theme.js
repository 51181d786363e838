/** Dark, light, or as the system says; remembered in this browser. */

const KEY = "agent-console-theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

export function theme() {
  try {
    return localStorage.getItem(KEY) ?? "system";
  } catch {
    return "system"; // no storage: private mode
  }
}

export function applyTheme(name = theme()) {
  document.documentElement.dataset.theme = name;
}

export function nextTheme() {
  const name = NEXT[theme()] ?? "system";
  try {
    localStorage.setItem(KEY, name);
  } catch {
    // it holds until the page is closed
  }
  applyTheme(name);
}
