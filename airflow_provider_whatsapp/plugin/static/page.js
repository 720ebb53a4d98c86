// Pages work without this script, which saves a few clicks.
(() => {
  // A choice in a list submits its form.
  for (const select of document.querySelectorAll("select[data-submit]"))
    select.addEventListener("change", () => select.form.requestSubmit());
  // By then slow sources have answered.
  if (document.querySelector("[data-again]")) setTimeout(() => location.reload(), 4000);
  // Airflow 3.1's frame does not allow downloads.
  const allowed = (() => { try { return window.frameElement?.sandbox?.contains("allow-downloads") ?? true; } catch { return true; } })();
  for (const link of document.querySelectorAll("[data-download]")) link.hidden = !allowed;
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copy).textContent;
      try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; }
      catch {
        getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
        button.textContent = "Selected: press Ctrl+C";
      }
    });
  }
})();
