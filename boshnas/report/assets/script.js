"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const content = JSON.parse(document.getElementById("figures").textContent);
  const plots = [...document.querySelectorAll("[data-figure]")];
  // Where a finger scrolls, dragging over a figure must not zoom it.
  const dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";
  let chosen = null; // the reader's own choice, once made
  let round = 0;

  const isDark = () => (chosen === null ? system.matches : chosen);

  const draw = (plot) => {
    const { data, layout } = content.figures[plot.dataset.figure];
    const template = content.templates[isDark() ? "dark" : "light"];
    return Plotly.react(plot, data, { ...layout, template, dragmode }, { responsive: true, displayModeBar: false });
  };

  const drawAll = async () => {
    const mine = ++round;
    button.setAttribute("aria-pressed", String(isDark()));
    delete root.dataset.drawn;
    for (const plot of plots) {
      await draw(plot);
      await new Promise((next) => setTimeout(next)); // the page answers between two figures
      if (mine !== round) return;
    }
    root.dataset.drawn = String(Math.round(performance.now()));
  };

  button.hidden = false;
  button.addEventListener("click", () => {
    chosen = !isDark();
    root.dataset.theme = chosen ? "dark" : "light";
    drawAll();
  });
  system.addEventListener("change", drawAll);
  drawAll();
})();
