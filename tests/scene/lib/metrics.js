// The page of /metrics as numbers.
'use strict';

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;

class Metrics {
  constructor(text) {
    this.samples = []; // {key, name, labels, value}
    this.types = new Map();
    for (const line of text.split('\n')) {
      const type = line.match(/^# TYPE (\S+) (\S+)$/);
      if (type) this.types.set(type[1], type[2]);
      const sample = line.startsWith('#') ? null : line.match(SAMPLE);
      if (!sample) continue;
      const labels = Object.fromEntries([...(sample[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name, value]));
      this.samples.push({ key: line.slice(0, line.lastIndexOf(' ')), name: sample[1], labels, value: Number(sample[3]) });
    }
  }

  // The sum of the family's samples that carry these labels; `name` without "tidegate_". 0 when there is none.
  sum(name, labels = {}) {
    const wanted = Object.entries(labels);
    return this.samples
      .filter((s) => s.name === `tidegate_${name}` && wanted.every(([label, value]) => s.labels[label] === String(value)))
      .reduce((sum, s) => sum + s.value, 0);
  }

  // Map of each counter's sample to its value.
  counters() {
    return new Map(this.samples.filter((s) => this.types.get(s.name) === 'counter').map((s) => [s.key, s.value]));
  }
}

module.exports = { Metrics };
