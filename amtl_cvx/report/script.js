for (const button of document.querySelectorAll("th[aria-sort] button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, body = head.closest("table").tBodies[0], column = head.cellIndex;
    const numeric = "numeric" in head.dataset;
    const was = head.getAttribute("aria-sort");
    const down = was === "none" ? numeric : was === "ascending";
    const key = (row) => {
      const cell = row.cells[column];
      return numeric ? (cell.dataset.value === "" ? NaN : Number(cell.dataset.value)) : cell.textContent;
    };
    const names = new Intl.Collator(undefined, { numeric: true });
    const compare = (a, b) => {
      const x = key(a), y = key(b);
      if (!numeric) return down ? names.compare(y, x) : names.compare(x, y);
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return down ? y - x : x - y;
    };
    for (const other of head.parentElement.cells) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...[...body.rows].sort(compare));
  });
}
