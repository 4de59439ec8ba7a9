/** Short sounds, so that whoever scans need not look: high for in, low and twice for refused. */
let context: AudioContext | null = null;

/** After a click: browsers play nothing before. */
export function wakeSound(): void {
  context ??= new AudioContext();
  void context.resume();
}

function tone(frequency_hz: number, at_s: number, lasts_s: number): void {
  if (context === null) return;
  const start = context.currentTime + at_s;
  const oscillator = new OscillatorNode(context, { frequency: frequency_hz });
  const volume = new GainNode(context, { gain: 0.25 });
  volume.gain.setTargetAtTime(0, start + lasts_s, 0.015);
  oscillator.connect(volume).connect(context.destination);
  oscillator.start(start);
  oscillator.stop(start + lasts_s + 0.1);
}

export function soundOf(lets: boolean): void {
  if (lets) tone(1320, 0, 0.12);
  else {
    tone(220, 0, 0.15);
    tone(220, 0.25, 0.15);
  }
}
