// 28x28 pixels on a canvas, in the colours that the style sheet gives it.

const SIDE = 28;

/** base64 of 784 bytes -> Uint8Array(784), ink high. */
export function decode(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** The colour of an element's text as [red, green, blue], 0..255. */
function colour(element) {
  return getComputedStyle(element).color.match(/[\d.]+/g).slice(0, 3).map(Number);
}

function paint(canvas, rgba) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  for (let i = 0; i < SIDE * SIDE; i += 1) image.data.set(rgba(i), 4 * i);
  context.putImageData(image, 0, 0);
}

export function wipe(canvas) {
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

/** Draw ink as it is: strong where a pixel is high, nothing where it is 0. */
export function paintInk(canvas, pixels) {
  const ink = colour(canvas);
  paint(canvas, (i) => [...ink, pixels[i]]);
}

/**
 * Draw attributions over a faint digit: `high` where they are positive, `low` where negative; both
 * are elements that show these colours. The strongest of them is opaque.
 */
export function paintHeat(canvas, pixels, attribution, low, high) {
  const [ink, cold, warm] = [colour(canvas), colour(low), colour(high)];
  const peak = Math.max(...attribution.map(Math.abs)) || 1;
  paint(canvas, (i) => {
    const under = (0.3 * pixels[i]) / 255;
    const over = (Math.abs(attribution[i]) / peak) ** 0.7; // weak ones stay visible
    const alpha = over + under * (1 - over);
    const heat = attribution[i] < 0 ? cold : warm;
    const mixed = ink.map((value, c) => (over * heat[c] + (1 - over) * under * value) / (alpha || 1));
    return [...mixed, 255 * alpha];
  });
}
