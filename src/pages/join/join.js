// While many join at once, each browser works a second for its own request: it looks for a number that makes SHA-256
// of stamp, address and number begin with enough zero bits. Runs on the page's own form alone.
"use strict";
(() => {
  const K = [], H0 = [];
  const fraction = (x) => ((x - Math.floor(x)) * 4294967296) | 0;
  for (let n = 2; K.length < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) { prime = false; break; }
    if (!prime) continue;
    if (H0.length < 8) H0.push(fraction(Math.sqrt(n)));
    K.push(fraction(Math.cbrt(n)));
  }
  const turn = (x, n) => (x >>> n) | (x << (32 - n));
  const W = new Int32Array(64);
  // The first two words of the hash; no more is looked at.
  function sha256(bytes) {
    const length = ((bytes.length + 8) >> 6) + 1, words = new Int32Array(length * 16);
    for (let i = 0; i < bytes.length; i++) words[i >> 2] |= bytes[i] << (24 - 8 * (i & 3));
    words[bytes.length >> 2] |= 0x80 << (24 - 8 * (bytes.length & 3));
    words[words.length - 1] = bytes.length * 8;
    const h = Int32Array.from(H0);
    for (let at = 0; at < words.length; at += 16) {
      for (let i = 0; i < 64; i++) {
        if (i < 16) { W[i] = words[at + i]; continue; }
        const a = W[i - 15], b = W[i - 2];
        const s0 = turn(a, 7) ^ turn(a, 18) ^ (a >>> 3), s1 = turn(b, 17) ^ turn(b, 19) ^ (b >>> 10);
        W[i] = (W[i - 16] + s0 + W[i - 7] + s1) | 0;
      }
      let [a, b, c, d, e, f, g, k] = h;
      for (let i = 0; i < 64; i++) {
        const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25), choice = (e & f) ^ (~e & g);
        const t1 = (k + s1 + choice + K[i] + W[i]) | 0;
        const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22), majority = (a & b) ^ (a & c) ^ (b & c);
        k = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + ((s0 + majority) | 0)) | 0;
      }
      h[0] += a; h[1] += b; h[2] += c; h[3] += d; h[4] += e; h[5] += f; h[6] += g; h[7] += k;
    }
    return [h[0], h[1]];
  }
  const form = document.querySelector("form[data-work]");
  if (!form) return;
  const bits = Number(form.dataset.work), text = new TextEncoder();
  const enough = ([a, b]) => (bits <= 32 ? Math.clz32(a) >= bits : a === 0 && 32 + Math.clz32(b) >= bits);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("button"), said = document.getElementById("working");
    button.disabled = true;
    said.hidden = false;
    const prefix = form.elements.stamp.value + ":" + form.elements.address.value + ":";
    let number = 0;
    const work = () => {
      const until = performance.now() + 40;
      while (performance.now() < until) {
        for (let n = 0; n < 64; n++, number++) {
          if (enough(sha256(text.encode(prefix + number)))) {
            form.elements.work.value = String(number);
            form.submit();
            return;
          }
        }
      }
      setTimeout(work);
    };
    work();
  });
})();
