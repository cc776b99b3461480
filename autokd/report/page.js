"use strict";
const report = {figures: []};  // what sections draw once plotly.js is there, and again when the colours change
(() => {
  const load = async () => {  // plotly.js lies in this file, compressed; the page is there before it
    const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), letter => letter.charCodeAt(0));
    const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(unpacked).text();
    document.head.append(script);
  };
  const probe = document.body.appendChild(document.createElement("span"));
  const color = name => {  // as the browser resolves it, light or dark
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const axis = own => ({
    gridcolor: color("--grid"), zerolinecolor: color("--line"), linecolor: color("--line"), tickcolor: color("--line"),
    ...own, title: own.title && {...own.title, font: {size: 13, color: color("--muted")}, standoff: 8},
  });
  const themed = layout => ({
    ...layout,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: {family: getComputedStyle(document.body).fontFamily, size: 13, color: color("--text")},
    hoverlabel: {bgcolor: color("--raised"), bordercolor: color("--line"), font: {color: color("--text"), size: 12}, align: "left"},
    xaxis: axis(layout.xaxis),
    yaxis: axis(layout.yaxis),
  });
  const config = {responsive: true, displaylogo: false, displayModeBar: false};
  report.color = color;
  report.show = (place, figure) => Plotly.react(place, figure.data, themed(figure.layout), config);
  const draw = () => {
    for (const source of document.querySelectorAll("script[data-plot]")) {
      const figure = JSON.parse(source.textContent);
      const narrow = innerWidth < 640 && figure.layout.legend?.y < 0;  // the legend takes more lines there
      const height = figure.layout.height + (narrow ? 110 : 0);
      report.show(source.dataset.plot, {data: figure.data, layout: {...figure.layout, height}});
    }
    for (const own of report.figures) own();
  };
  const begin = () => load().then(() => {
    draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    document.addEventListener("themechange", draw);
  });
  addEventListener("load", () => {  // after the page is there
    if (report.figures.length || document.querySelector("script[data-plot]")) setTimeout(begin);
  });

  const button = (text, place, act) => {
    const made = place.appendChild(document.createElement("button"));
    Object.assign(made, {type: "button", className: "small", textContent: text});
    made.addEventListener("click", () => act(made));
  };
  const tools = document.querySelector("header.frame").appendChild(document.createElement("span"));
  tools.className = "tools";
  button("light / dark", tools, () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.dispatchEvent(new Event("themechange"));
  });
  button("print", tools, () => print());
  for (const command of document.querySelectorAll(".command")) {
    button("copy", command, async made => {
      await navigator.clipboard.writeText(command.querySelector("pre").textContent);
      made.textContent = "copied";
    });
  }

  const unfold = () => document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest("details")?.setAttribute("open", "");
  addEventListener("hashchange", unfold);
  unfold();

  const key = (row, column) => {
    const cell = row.cells[column];
    const value = cell.dataset.value;
    if (value === undefined) return cell.textContent.trim();
    return value === "" ? null : Number(value);
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));
  for (const heading of document.querySelectorAll("table.sortable thead th")) {
    heading.firstElementChild.addEventListener("click", () => {
      const now = heading.getAttribute("aria-sort"), first = heading.firstElementChild.dataset.first ?? "ascending";
      const order = now === null ? first : now === "ascending" ? "descending" : "ascending";
      for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", order);
      for (const body of heading.closest("table").tBodies) {  // each group for itself, below its own heading
        const rows = [...body.rows].filter(row => !row.classList.contains("group")).map(row => [key(row, heading.cellIndex), row]);
        rows.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : (order === "descending" ? -1 : 1) * compare(a, b)));
        body.append(...rows.map(([, row]) => row));
      }
    });
  }
})();
