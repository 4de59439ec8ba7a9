/** Reads QR codes from the camera until it is told to stop; null for a picture without one. */
import { prepareZXingModule, readBarcodes } from "zxing-wasm/reader";
import wasm from "zxing-wasm/reader/zxing_reader.wasm?url";

const PAUSE_MS = 100;
/** Enough for a code that fills a third of the picture, and little enough for an old telephone. */
const WIDTH_MOST = 960;

export async function watchCamera(
  video: HTMLVideoElement,
  found: (text: string | null) => void,
  signal: AbortSignal,
): Promise<void> {
  prepareZXingModule({ overrides: { locateFile: () => wasm } });
  const wish = { facingMode: "environment", width: { ideal: 1280 } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: wish, audio: false });
  const stop = () => {
    for (const track of stream.getTracks()) track.stop();
  };
  if (signal.aborted) return stop();
  signal.addEventListener("abort", stop, { once: true });
  video.srcObject = stream;
  await video.play();
  const canvas = new OffscreenCanvas(1, 1);
  const paper = canvas.getContext("2d", { willReadFrequently: true });
  while (!signal.aborted && paper !== null) {
    const scale = Math.min(1, WIDTH_MOST / video.videoWidth);
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    paper.drawImage(video, 0, 0, canvas.width, canvas.height);
    const picture = paper.getImageData(0, 0, canvas.width, canvas.height);
    const [code] = await readBarcodes(picture, { formats: ["QRCode"], maxNumberOfSymbols: 1 });
    if (!signal.aborted) found(code?.isValid ? code.text : null);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
