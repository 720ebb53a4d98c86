// Airflow's theme, read from the page around the frame, which has the same origin.
(() => {
  const root = document.documentElement;
  const follow = (around) => {
    const dark = around.classList.contains("dark"), light = around.classList.contains("light");
    root.style.colorScheme = dark ? "dark" : light ? "light" : "";
  };
  try {
    const around = parent.document.documentElement;
    if (parent === window) return;
    follow(around);
    new MutationObserver(() => follow(around)).observe(around, { attributes: true, attributeFilter: ["class"] });
  } catch { /* With another origin, use the system's theme. */ }
})();
