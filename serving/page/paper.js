// The drawing paper: strokes of a mouse, a finger, a pen or the arrow keys, or a picture.
// Places are shares of the paper's side, so that a sheet survives any change of size.

const EXPORT = 280; // px a side of what is sent
const STEP = 1 / 40; // of the side, that an arrow key moves the pen
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const BLANK = { strokes: [], picture: null };

/** Fires `change` with `detail.drawing`: whether the pen is still down. */
export class Paper extends EventTarget {
  width = 0.065; // of the pen
  revision = 0;
  #sheet = BLANK; // never changed, only replaced
  #past = [];
  #stroke = null;
  #pointer = null; // that draws; a palm beside it does not
  #nib = { x: 0.5, y: 0.5 };

  constructor(root, canvas, nib) {
    super();
    Object.assign(this, { root, canvas, nib });
    root.addEventListener("pointerdown", (event) => this.#down(event));
    root.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) root.addEventListener(end, (event) => this.#up(event));
    root.addEventListener("keydown", (event) => this.#typed(event));
    root.addEventListener("blur", () => {
      this.#lift();
      root.classList.remove("pointed");
    });
    new ResizeObserver(() => this.redraw()).observe(root);
    document.addEventListener("theme", () => this.redraw());
  }

  get isEmpty() {
    return this.#strokes.length === 0 && this.#sheet.picture === null;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get picture() {
    return this.#sheet.picture;
  }

  /** What is on the paper, in words. */
  get words() {
    if (this.picture) return `The paper shows the picture ${this.picture.name}.`;
    const count = this.#strokes.length;
    return count === 0 ? "The paper is empty." : `The paper holds ${count} stroke${count > 1 ? "s" : ""}.`;
  }

  get #strokes() {
    return this.#stroke ? [...this.#sheet.strokes, this.#stroke] : this.#sheet.strokes;
  }

  clear() {
    this.#stroke = null;
    if (!this.isEmpty) this.#replace(BLANK);
  }

  undo() {
    this.#stroke = null;
    if (!this.canUndo) return;
    this.#sheet = this.#past.pop();
    this.#changed(false);
  }

  /** Put a picture, given as a canvas, on a fresh sheet. */
  show(canvas, name) {
    this.#stroke = null;
    this.#replace({ strokes: [], picture: { canvas, name } });
  }

  /** What is on the paper, as the service gets it: dark ink on white, or the picture. */
  blob() {
    if (this.picture) return encode(this.picture.canvas, "image/jpeg", 0.92);
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = EXPORT;
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, EXPORT, EXPORT);
    drawStrokes(context, this.#strokes, EXPORT, "#000");
    return encode(canvas, "image/png");
  }

  redraw() {
    const side = Math.round(this.root.clientWidth * devicePixelRatio);
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, side, side);
    if (this.picture) {
      const { canvas } = this.picture;
      const scale = side / Math.max(canvas.width, canvas.height);
      const [width, height] = [canvas.width * scale, canvas.height * scale];
      context.drawImage(canvas, (side - width) / 2, (side - height) / 2, width, height);
    }
    drawStrokes(context, this.#strokes, side, getComputedStyle(this.canvas).color);
  }

  #replace(sheet) {
    this.#past.push(this.#sheet);
    this.#sheet = sheet;
    this.#changed(false);
  }

  #changed(drawing) {
    this.revision += 1;
    this.redraw();
    this.root.classList.toggle("filled", !this.isEmpty);
    this.root.classList.toggle("inking", drawing);
    this.dispatchEvent(new CustomEvent("change", { detail: { drawing } }));
  }

  #begin(point) {
    if (this.picture) this.#replace(BLANK);
    this.#stroke = [point];
    this.#changed(true);
  }

  #lift() {
    if (!this.#stroke) return;
    const strokes = this.#strokes;
    this.#stroke = null;
    this.#replace({ strokes, picture: null });
  }

  #down(event) {
    if (event.button !== 0 || !event.isPrimary || this.#stroke) return;
    this.root.focus({ preventScroll: true });
    event.preventDefault();
    this.root.setPointerCapture(event.pointerId);
    this.#pointer = event.pointerId;
    this.root.classList.remove("keyed");
    this.root.classList.add("pointed");
    this.#begin(this.#point(event));
  }

  #move(event) {
    if (!this.#stroke || event.pointerId !== this.#pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.#stroke.push(this.#point(each));
    this.#changed(true);
  }

  #up(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = null;
    this.#lift();
  }

  #point(event) {
    const box = this.canvas.getBoundingClientRect();
    const pressure = event.pointerType === "pen" && event.pressure > 0 ? 0.5 + event.pressure : 1;
    return {
      x: (event.clientX - box.left) / box.width,
      y: (event.clientY - box.top) / box.height,
      width: this.width * pressure,
    };
  }

  #typed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const way = ARROWS[event.key];
    const point = () => ({ ...this.#nib, width: this.width });
    if (way) {
      const step = event.shiftKey ? 4 * STEP : STEP;
      this.#nib.x = Math.min(0.95, Math.max(0.05, this.#nib.x + way[0] * step));
      this.#nib.y = Math.min(0.95, Math.max(0.05, this.#nib.y + way[1] * step));
      this.#stroke?.push(point());
      if (this.#stroke) this.#changed(true);
    } else if (event.key === " " || event.key === "Enter") {
      if (this.#stroke) this.#lift();
      else this.#begin(point());
    } else return;
    event.preventDefault();
    this.root.classList.add("keyed");
    this.nib.style.setProperty("--x", this.#nib.x);
    this.nib.style.setProperty("--y", this.#nib.y);
  }
}

const encode = (canvas, type, quality) =>
  new Promise((done) => {
    canvas.toBlob(done, type, quality);
  });

/** Curves through the middles between points, so that a stroke has no corners of the mouse's own. */
function drawStrokes(context, strokes, side, colour) {
  Object.assign(context, { strokeStyle: colour, fillStyle: colour, lineCap: "round", lineJoin: "round" });
  for (const points of strokes) {
    let from = points[0];
    context.beginPath();
    context.arc(from.x * side, from.y * side, (from.width * side) / 2, 0, 7);
    context.fill();
    points.slice(1).forEach((point, i) => {
      const last = points[i];
      const end = i === points.length - 2 ? point : { x: (last.x + point.x) / 2, y: (last.y + point.y) / 2 };
      context.lineWidth = point.width * side;
      context.beginPath();
      context.moveTo(from.x * side, from.y * side);
      context.quadraticCurveTo(last.x * side, last.y * side, end.x * side, end.y * side);
      context.stroke();
      from = end;
    });
  }
}
