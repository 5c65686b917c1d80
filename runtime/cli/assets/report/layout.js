// Owns: where the families' boxes and the lines between them go: layers from left to right.
// Does not know: what is in a box, how lines look.

const LAYER_GAP = 64;
const BOX_GAP = 18;
const DUMMY_HEIGHT = 10;
const SWEEPS = 6;
// Longer edges go straight, behind what is between: their dummies would be most of the graph.
const DUMMIES_MAX = 16;

/** Edges [from, to] without loops, and without those that would close a circle: families, other than jobs, can need
    one another. */
function forwardEdges(needs) {
  const mark = new Uint8Array(needs.length);
  const edges = [];
  const visit = (root) => {
    // A stack of its own, as a chain can be longer than the script's stack is deep.
    const stack = [[root, 0]];
    mark[root] = 1;
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      const [family, at] = top;
      if (at === needs[family].length) {
        mark[family] = 2;
        stack.pop();
        continue;
      }
      top[1]++;
      const need = needs[family][at];
      if (mark[need] === 1) continue;
      edges.push([need, family]);
      if (mark[need] === 0) {
        mark[need] = 1;
        stack.push([need, 0]);
      }
    }
  };
  for (let family = 0; family < needs.length; family++) if (mark[family] === 0) visit(family);
  return edges;
}

/** Each family one layer behind the last of those that it needs. */
function layersOf(count, edges) {
  const layer = new Int32Array(count);
  const waits = new Int32Array(count);
  const after = Array.from({ length: count }, () => []);
  for (const [from, to] of edges) {
    after[from].push(to);
    waits[to]++;
  }
  const queue = [];
  for (let i = 0; i < count; i++) if (waits[i] === 0) queue.push(i);
  for (const from of queue) {
    for (const to of after[from]) {
      layer[to] = Math.max(layer[to], layer[from] + 1);
      if (--waits[to] === 0) queue.push(to);
    }
  }
  return layer;
}

/** Adds a small node to each layer that an edge passes, so that lines go between boxes and not behind them. */
function withDummies(sizes, edges, layer) {
  const nodes = sizes.map(({ width, height }, i) => ({
    family: i,
    width,
    height,
    layer: layer[i],
    before: [],
    after: [],
    y: 0,
  }));
  const routes = edges.map(([from, to]) => {
    const route = [nodes[from]];
    const isLong = layer[to] - layer[from] > DUMMIES_MAX;
    for (let l = layer[from] + 1; l < layer[to] && !isLong; l++) {
      const dummy = { family: -1, width: 0, height: DUMMY_HEIGHT, layer: l, before: [], after: [], y: 0 };
      nodes.push(dummy);
      route.push(dummy);
    }
    route.push(nodes[to]);
    for (let k = 1; k < route.length; k++) {
      route[k - 1].after.push(route[k]);
      route[k].before.push(route[k - 1]);
    }
    return route;
  });
  return { nodes, routes };
}

function meanOf(nodes, of, otherwise) {
  return nodes.length === 0 ? otherwise : nodes.reduce((sum, node) => sum + of(node), 0) / nodes.length;
}

/** Orders each layer by where its neighbours are, forwards and backwards, which leaves few crossings. */
function orderLayers(layers) {
  const place = (nodes) =>
    nodes.forEach((node, k) => {
      node.order = k;
    });
  layers.forEach(place);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const isForward = sweep % 2 === 0;
    for (const nodes of isForward ? layers : [...layers].reverse()) {
      for (const node of nodes)
        node.wish = meanOf(isForward ? node.before : node.after, (other) => other.order, node.order);
      nodes.sort((a, b) => a.wish - b.wish || a.order - b.order);
      place(nodes);
    }
  }
}

/** Moves nodes to where they wish to be, in their order and without touching: the mean of pushing down and up. */
function settle(nodes) {
  const down = [];
  const up = [];
  let edge = -Infinity;
  for (const node of nodes) {
    down.push(Math.max(node.wish, edge));
    edge = down[down.length - 1] + node.height + BOX_GAP;
  }
  edge = Infinity;
  for (const node of [...nodes].reverse()) {
    up.unshift(Math.min(node.wish, edge - node.height - BOX_GAP));
    edge = up[0];
  }
  nodes.forEach((node, k) => {
    node.y = (down[k] + up[k]) / 2;
  });
}

function placeVertically(layers) {
  for (const nodes of layers) {
    let y = 0;
    for (const node of nodes) {
      node.y = y;
      y += node.height + BOX_GAP;
    }
    nodes.forEach((node) => {
      node.y -= y / 2;
    });
  }
  const middle = (node) => node.y + node.height / 2;
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const isForward = sweep % 2 === 0;
    for (const nodes of isForward ? layers : [...layers].reverse()) {
      for (const node of nodes)
        node.wish = meanOf(isForward ? node.before : node.after, middle, middle(node)) - node.height / 2;
      settle(nodes);
    }
  }
}

/** Gives each node x and y, and says how large all of it is. `sizes`: {width, height} for each family. */
function layOut(sizes, needs) {
  const edges = forwardEdges(needs);
  const layer = layersOf(sizes.length, edges);
  const { nodes, routes } = withDummies(sizes, edges, layer);
  const layers = [];
  for (const node of nodes) (layers[node.layer] ??= []).push(node);
  orderLayers(layers);
  placeVertically(layers);
  let x = 0;
  for (const inLayer of layers) {
    const width = Math.max(...inLayer.map((node) => node.width));
    for (const node of inLayer) {
      node.x = x;
      if (node.family < 0) node.width = width;
    }
    x += width + LAYER_GAP;
  }
  const top = Math.min(...nodes.map((node) => node.y));
  for (const node of nodes) node.y -= top;
  const height = Math.max(...nodes.map((node) => node.y + node.height));
  return { boxes: nodes.slice(0, sizes.length), routes, width: x - LAYER_GAP, height };
}
