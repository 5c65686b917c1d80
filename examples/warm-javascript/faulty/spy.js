// Looks for what another script might have left, and leaves something for the next. It finds nothing.
const left = Object.keys(globalThis).filter(name => name.startsWith('left'));
if (left.length > 0) throw new Error(`found ${left}`);
globalThis.leftBehind = 'for the next';
_.map = () => 'broken for all who come after';
const result = { found: left, require: typeof require, fetch: typeof fetch, process: typeof process };
