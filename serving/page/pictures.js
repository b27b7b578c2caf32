// Pictures that are chosen, photographed, pasted or dropped.

const SIDE = 800; // px; the model needs far fewer, and photographs come with millions

/** Scale a picture file down; null: the browser cannot read it. */
async function load(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return null;
  }
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // what is transparent is paper
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas;
}

/** Call `show(canvas, name)` for every picture that reaches the page, `fail(text)` for other files. */
export function takePictures(show, fail) {
  const take = async (files) => {
    const file = [...files].find((each) => each.type.startsWith("image/")) ?? files[0];
    if (!file) return;
    const canvas = await load(file);
    if (canvas) show(canvas, file.name || "picture");
    else fail(`“${file.name || "This"}” is not a picture that this browser can read.`);
  };
  for (const [button, input] of [["choose", "file"], ["camera", "shot"]]) {
    const chooser = document.getElementById(input);
    document.getElementById(button).addEventListener("click", () => chooser.click());
    chooser.addEventListener("change", async () => {
      await take(chooser.files);
      chooser.value = ""; // the same file may be chosen again
    });
  }
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length === 0) return;
    event.preventDefault();
    take(event.clipboardData.files);
  });
  takeDrops(take);
}

function takeDrops(take) {
  const root = document.documentElement;
  let inside = 0; // enter and leave come for every element on the way
  const end = () => {
    inside = 0;
    root.classList.remove("dragging");
  };
  addEventListener("dragenter", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    inside += 1;
    root.classList.add("dragging");
  });
  addEventListener("dragleave", () => {
    inside -= 1;
    if (inside <= 0) end();
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    end();
    take(event.dataTransfer.files);
  });
}
