() => {
  const number = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const over = (top, under) => top.slice(0, 3).map((each, at) => each * (top[3] ?? 1) + under[at] * (1 - (top[3] ?? 1)));
  const ground = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      const style = getComputedStyle(each), colour = number(style.backgroundColor);
      if (colour.length === 3 || colour[3] > 0) layers.push(colour);
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((each) => { const s = each / 255; return s <= .03928 ? s / 12.92 : ((s + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
    if (!own || !element.getClientRects().length || element.closest("[disabled], .skip, option, script, style, svg title")) continue;
    let opacity = 1;
    for (let each = element; each; each = each.parentElement) opacity *= Number(getComputedStyle(each).opacity);
    const under = ground(element), ink = number(getComputedStyle(element)[element.closest("svg") ? "fill" : "color"]);
    const seen = over([...ink.slice(0, 3), (ink[3] ?? 1) * opacity], under);
    const [high, low] = [light(seen), light(under)].sort((a, b) => b - a);
    const ratio = (high + .05) / (low + .05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${element.className || element.tagName} ${element.textContent.trim().slice(0, 30)}`);
  }
  return poor;
}
