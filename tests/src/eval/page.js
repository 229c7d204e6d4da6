// A click on a heading sorts by its column, another one the other way.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  table.querySelectorAll("th").forEach((heading, column) => {
    heading.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].sort((a, b) =>
        a.cells[column].textContent.localeCompare(b.cells[column].textContent, undefined, { numeric: true }));
      body.append(...(down ? rows.reverse() : rows));
    });
  });
}
// Only the wanted patches.
const boxes = [...document.querySelectorAll(".filter input[type=checkbox]")];
const search = document.querySelector(".filter input[type=search]");
function filter() {
  const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  const words = search.value.toLowerCase();
  for (const row of document.querySelectorAll("#patches tbody tr")) {
    const text = row.textContent.toLowerCase();
    row.hidden = !wanted.has(row.cells[2].textContent) || !text.includes(words);
  }
}
for (const input of [...boxes, search]) input.addEventListener("input", filter);
