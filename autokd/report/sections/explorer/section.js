(() => {
  const get = id => document.getElementById(`explorer-${id}`);
  if (!get("data")) return;
  const data = JSON.parse(get("data").textContent), {trials} = data;
  const byNumber = new Map(trials.map(t => [t.number, t]));
  const tools = get("tools"), picture = get("picture"), card = get("card"), front = get("front"), table = get("table");
  const rows = new Map([...table.querySelectorAll("tr[data-trial]")].map(row => [Number(row.dataset.trial), row]));
  const menus = [...tools.querySelectorAll("select[data-slot]")];
  let chosen = data.start, hot = null, ready = false;

  const axis = () => data.axes[get("axis")?.value ?? 0];
  const at = value => -Math.log10(Math.max(Math.abs(data.perfect - value), data.smallest));
  const holds = (t, {dataset: {slot}, value}) => value === "" || (slot ? t.pipeline[slot] === value || `${slot}.${value}` in t.pipeline : t.length === Number(value));
  const left = () => trials.filter(t => menus.every(menu => holds(t, menu)) && (!front?.checked || axis().front.includes(t.number)));
  const make = (tag, text, parent, own = {}) => {
    const element = Object.assign(document.createElement(tag), {textContent: text, ...own});
    parent?.append(element);
    return element;
  };
  const show = value => typeof value === "number" ? String(Number(value.toPrecision(3))) : Array.isArray(value) ? value.map(show).join(", ") : String(value ?? "–");
  const named = path => path.replace(/^losses\./, "").replace(/[._]/g, " ");
  const said = t => rows.get(t.number).cells[2].textContent + (t.runs.length ? ` (mean of ${t.runs.length})` : "");
  const different = t => Object.keys({...t.pipeline, ...data.reference.pipeline}).filter(path => show(t.pipeline[path]) !== show(data.reference.pipeline[path]));
  const hover = t => [`trial ${t.number}: ${said(t)}`, ...different(t).slice(0, 8).map(path => `${named(path)}: ${show(t.pipeline[path])}`)]
    .map(line => line.replaceAll("&", "&amp;").replaceAll("<", "&lt;")).join("<br>");

  const trace = (pairs, own) => ({type: "scatter", x: pairs.map(([x]) => x), y: pairs.map(([, y]) => y), hoverinfo: "skip", showlegend: false, ...own});
  const spot = (t, value = t.value) => [t.x[axis().name], at(value)];
  const rings = () => trace([chosen, hot].flatMap(number => byNumber.has(number) ? [spot(byNumber.get(number))] : []), {mode: "markers", marker: {symbol: "circle-open", size: 18, color: report.color("--text"), line: {width: 2}}});
  const aside = list => {  // pixels, to the left, so that no point hides another; values stay
    const {range: [low, high], type} = axis().xaxis, [bottom, top] = data.layout.yaxis.range, placed = [];
    return list.map(t => {
      const [across, up] = spot(t), x = (picture.clientWidth - 70) * ((type ? Math.log10(across) : across) - low) / (high - low), y = 350 * (up - bottom) / (top - bottom);
      let level = 0;
      while (placed.some(other => other[2] === level && Math.abs(other[0] - x) < 9 && Math.abs(other[1] - y) < 9)) level++;
      placed.push([x, y, level]);
      return 9 * level;
    });
  };
  const drawPicture = () => {
    if (!ready || !picture) return;
    const list = left(), color = report.color("--accent"), {xaxis, shape, shapes, annotations, front: best} = axis();
    const [symbol, size, opacity] = [0, 1, 2].map(i => list.map(t => t.mark[i]));
    report.show(picture, {
      data: [
        trace(list.flatMap(t => t.runs.length ? [spot(t), spot(t, t.single), []] : []), {mode: "lines", line: {color: report.color("--quiet"), width: 1}}),
        trace(best.map(number => byNumber.get(number)).filter(t => list.includes(t)).map(t => spot(t)), {mode: "lines", line: {color, width: 1.5, shape}}),
        trace(list.map(t => spot(t)), {mode: "markers", marker: {color, symbol, size, opacity, angle: 90, standoff: aside(list)}, customdata: list.map(t => t.number), hoverinfo: "text", hovertext: list.map(hover)}),
        rings(),
      ],
      layout: {...data.layout, xaxis, shapes: [...data.layout.shapes, ...shapes], annotations: [...data.layout.annotations, ...annotations]},
    });
  };
  const drawCurve = () => {
    if (!ready) return;
    const color = report.color("--accent"), [curve, rungs] = ["curve", "rungs"].map(key => byNumber.get(chosen)[key].map(([epoch, value]) => [epoch, data.scale * value]));
    const stems = curve.flatMap(point => rungs.filter(([end]) => end === point[0]).flatMap(end => [point, end, []]));
    report.show(get("curve"), {
      data: [trace(curve, {mode: "lines", line: {color}, hoverinfo: "x+y"}), trace(stems, {mode: "lines", line: {color, width: 1}}), trace(rungs, {mode: "markers", marker: {symbol: "diamond", size: 9, color}, hoverinfo: "x+y"})],
      layout: {height: 200, margin: {l: 8, r: 8, t: 8, b: 8}, hovermode: "closest", xaxis: {title: {text: "epochs"}, automargin: true, rangemode: "tozero"}, yaxis: {automargin: true}},
    });
  };
  const ring = () => {
    if (picture?.data) Plotly.restyle(picture, {x: [rings().x], y: [rings().y]}, [3]);
  };
  const point = number => {
    rows.get(hot)?.classList.remove("hot");
    rows.get(hot = number)?.classList.add("hot");
    ring();
  };
  const choose = (number, scroll) => {
    rows.get(chosen).classList.remove("chosen");
    const t = byNumber.get(chosen = number), row = rows.get(number), box = row.closest(".box"), paths = different(t);
    row.classList.add("chosen");
    if (scroll) box.scrollTop += row.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 2;
    card.textContent = "";
    make("h3", `Trial ${number}: ${said(t)}`, card);
    const own = t.runs.length ? ` In its own run: ${show(data.scale * t.single)}.` : "";
    make("p", `${t.origin}, ${t.epochs} epoch${t.epochs === 1 ? "" : "s"}.${own}`, card, {className: "muted"});
    make("p", paths.length ? `Other than in ${data.reference.title} (there):` : `As ${data.reference.title}.`, card);
    const list = make("dl", "", card);
    for (const path of paths) {
      make("dt", named(path), list);
      make("bdi", `${show(t.pipeline[path])} (${show(data.reference.pipeline[path])})`, make("dd", "", list));
    }
    make("div", "", card, {id: "explorer-curve"});
    make("p", "Line: score on the way. Diamonds: the scores that decided, after each length.", card, {className: "muted"});
    make("pre", `${data.command} --trial ${number}`, card);
    drawCurve();
    ring();
  };
  const filter = () => {
    const there = new Set(left().map(t => t.number));
    for (const [number, row] of rows) row.hidden = !there.has(number);
    for (const body of table.tBodies) body.hidden = ![...body.rows].some(row => row.dataset.trial && !row.hidden);
    get("csv").textContent = `CSV of ${there.size}`;
    drawPicture();
  };
  const cell = value => {  // as in the CSV files beside the page: what a spreadsheet would run stays a text
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) && isNaN(value) ? `'${value}` : String(value ?? "");
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const save = () => {
    const list = left().map(({number, value, single, runs, epochs, seconds, source, x, pipeline}) => ({number, value, single, runs: runs.length, epochs, seconds, source, ...x, ...pipeline}));
    const header = [...new Set(list.flatMap(Object.keys))];
    const text = [header, ...list.map(row => header.map(key => row[key]))].map(line => line.map(cell).join(",") + "\r\n").join("");
    make("a", "", null, {href: URL.createObjectURL(new Blob([text], {type: "text/csv"})), download: "trials-chosen.csv"}).click();
  };

  tools.hidden = false;
  tools.addEventListener("change", filter);
  get("csv").addEventListener("click", save);
  get("all").addEventListener("click", () => {
    for (const menu of menus) menu.value = "";
    if (front) front.checked = false;
    filter();
  });
  for (const [number, row] of rows) {
    row.querySelector("button").addEventListener("click", () => choose(number));
    row.addEventListener("mouseenter", () => point(number));
    row.addEventListener("mouseleave", () => point(null));
  }
  document.addEventListener("click", ({target: {dataset: {slot, option} = {}}}) => {  // what other sections point at
    const menu = menus.find(menu => option !== undefined && menu.dataset.slot === slot);
    if (!menu) return;
    menu.value = option;
    filter();
    tools.scrollIntoView();
  });
  report.figures.push(() => {
    const first = !ready;
    ready = true;
    drawPicture();
    drawCurve();
    if (!first || !picture) return;
    picture.on("plotly_click", ({points: [{customdata}]}) => choose(customdata, true));
    picture.on("plotly_hover", ({points: [{customdata}]}) => point(customdata));
    picture.on("plotly_unhover", () => point(null));
  });
  filter();
  choose(chosen);
})();
