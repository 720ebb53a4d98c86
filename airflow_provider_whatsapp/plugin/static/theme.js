// Airflow's theme: the frame is on the same origin, so it can look at the page around it.
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
  } catch { /* Another origin: the system's own theme it is. */ }
})();
