// The next token of each row of logits, or several of the only one: a workgroup owns a token.
// logits: [LOGITS, V]   sampling: (bits of temperature, top_k, bits of top_p)   randoms, tokens: [ring * ROWS]
// Mesa ends loops after 65535 trips of an invocation, which is why borders are found by two bits a pass.

const LOWEST = vec4f(-3.4e38);

fn ids_of(col: u32) -> vec4u { return vec4u(4u * col) + vec4u(0u, 1u, 2u, 3u); }

fn values_of(row: u32, col: u32) -> vec4f { return select(LOWEST, load_logits(row % LOGITS, col), ids_of(col) < vec4u(V)); }

// Numbers that stand in the order of the floats, where -0 and 0 are equal.
fn keys_of(v: vec4f) -> vec4u {
  let bits = select(bitcast<vec4u>(v), vec4u(0u), v == vec4f(0.0));
  return select(bits ^ vec4u(0x80000000u), ~bits, bits >= vec4u(0x80000000u));
}

fn float_of(key: u32) -> f32 { return bitcast<f32>(select(~key, key ^ 0x80000000u, key >= 0x80000000u)); }

fn total(v: vec4f) -> f32 { return v.x + v.y + v.z + v.w; }

// How many tokens have a key of at least each of three.
fn counts(row: u32, lane: u32, least: vec3u) -> vec3f {
  var sum = vec4f(0.0);
  for (var col = lane; 4u * col < V; col += LANES) {
    let keys = select(vec4u(0u), keys_of(values_of(row, col)), ids_of(col) < vec4u(V));
    sum += vec4f(
      total(select(vec4f(0.0), vec4f(1.0), keys >= vec4u(least.x))),
      total(select(vec4f(0.0), vec4f(1.0), keys >= vec4u(least.y))),
      total(select(vec4f(0.0), vec4f(1.0), keys >= vec4u(least.z))),
      0.0,
    );
  }
  return lane_sum(sum, lane).xyz;
}

// The weights of the tokens above `border` that have a key of at least each of three, added up.
fn masses(row: u32, lane: u32, least: vec3u, border: u32, highest: f32, scale: f32) -> vec3f {
  var sum = vec4f(0.0);
  for (var col = lane; 4u * col < V; col += LANES) {
    let v = values_of(row, col);
    let keys = keys_of(v);
    let w = select(vec4f(0.0), exp2((v - highest) * scale), keys > vec4u(border));
    sum += vec4f(
      total(select(vec4f(0.0), w, keys >= vec4u(least.x))),
      total(select(vec4f(0.0), w, keys >= vec4u(least.y))),
      total(select(vec4f(0.0), w, keys >= vec4u(least.z))),
      0.0,
    );
  }
  return lane_sum(sum, lane).xyz;
}

// How many tokens with an id of at most each of three have this key.
fn equals(row: u32, lane: u32, most: vec3u, key: u32) -> vec3f {
  var sum = vec4f(0.0);
  for (var col = lane; 4u * col < V; col += LANES) {
    let ids = ids_of(col);
    let same = select(vec4f(0.0), vec4f(1.0), (keys_of(values_of(row, col)) == vec4u(key)) & (ids < vec4u(V)));
    sum += vec4f(
      total(select(vec4f(0.0), same, ids <= vec4u(most.x))),
      total(select(vec4f(0.0), same, ids <= vec4u(most.y))),
      total(select(vec4f(0.0), same, ids <= vec4u(most.z))),
      0.0,
    );
  }
  return lane_sum(sum, lane).xyz;
}

fn draw(row: u32, lane: u32) -> u32 {
  // The highest logit, its lowest id, and whether all are numbers.
  var high = LOWEST;
  var broken = 0.0;
  for (var col = lane; 4u * col < V; col += LANES) {
    let v = values_of(row, col);
    let bits = bitcast<vec4u>(v);
    let bad = (bits & vec4u(0x7fffffffu)) > vec4u(0x7f800000u) | (bits == vec4u(0x7f800000u));
    broken = max(broken, select(0.0, 1.0, any(bad)));
    high = max(high, select(v, LOWEST, bad));
  }
  let most = lane_max(vec4f(max(max(high.x, high.y), max(high.z, high.w)), broken, 0.0, 0.0), lane);
  if (most.y > 0.0) { return 0xffffffffu; }
  let highest = most.x;
  let temperature = bitcast<f32>(sampling[0]);
  let top_k = sampling[1];
  let top_p = bitcast<f32>(sampling[2]);
  if (temperature == 0.0) {
    var first = 0.0; // V - id, exact in a float
    for (var col = lane; 4u * col < V; col += LANES) {
      let same = (values_of(row, col) == vec4f(highest)) & (ids_of(col) < vec4u(V));
      let left = select(vec4f(0.0), vec4f(f32(V)) - vec4f(ids_of(col)), same);
      first = max(first, max(max(left.x, left.y), max(left.z, left.w)));
    }
    return V - u32(lane_max(vec4f(first), lane).x);
  }
  let scale = 1.4426950408889634 / temperature;

  // Tokens above `border` are eligible, of those on it the first `room`.
  var border = 0u;
  var room = 0.0;
  if (top_k > 0u && top_k < V) {
    for (var shift = 32u; shift > 0u; shift -= 2u) {
      let digit = 1u << (shift - 2u);
      let c = counts(row, lane, vec3u(border + digit, border + 2u * digit, border + 3u * digit));
      let enough = select(vec3u(0u), vec3u(1u), c >= vec3f(f32(top_k)));
      border += digit * (enough.x + enough.y + enough.z);
    }
    room = f32(top_k) - counts(row, lane, vec3u(border + 1u)).x;
  }
  if (top_p < 1.0) {
    let on_border = room * exp2((float_of(border) - highest) * scale);
    let kept = select(0.0, on_border, room > 0.0);
    let wanted = top_p * (masses(row, lane, vec3u(0u), border, highest, scale).x + kept);
    var least = 0u;
    for (var shift = 32u; shift > 0u; shift -= 2u) {
      let digit = 1u << (shift - 2u);
      let tried = vec3u(least + digit, least + 2u * digit, least + 3u * digit);
      let m = masses(row, lane, tried, border, highest, scale) + select(vec3f(0.0), vec3f(kept), tried <= vec3u(border));
      let enough = select(vec3u(0u), vec3u(1u), m >= vec3f(wanted));
      least += digit * (enough.x + enough.y + enough.z);
    }
    let above = masses(row, lane, vec3u(least + 1u), border, highest, scale).x
      + select(0.0, kept, least < border);
    let needed = max(1.0, ceil((wanted - above) / exp2((float_of(least) - highest) * scale)));
    if (least > border) { room = needed; }
    else if (least == border) { room = min(room, needed); }
    border = max(border, least);
  }
  var last_equal = V; // the last id on the border that is eligible
  if (room < equals(row, lane, vec3u(V), border).x) {
    last_equal = 0u;
    for (var shift = 18u; shift > 0u; shift -= 2u) { // the most ids of which fewer than `room` are on the border
      let digit = 1u << (shift - 2u);
      let c = equals(row, lane, vec3u(last_equal + digit - 1u, last_equal + 2u * digit - 1u, last_equal + 3u * digit - 1u), border);
      let few = select(vec3u(0u), vec3u(1u), c < vec3f(room));
      last_equal += digit * (few.x + few.y + few.z);
    }
  }

  var sum = 0.0;
  for (var col = lane; 4u * col < V; col += LANES) { sum += total(weights(row, col, border, last_equal, highest, scale)); }
  let goal = randoms[step.slot * ROWS + row] * lane_sum(vec4f(sum), lane).x;
  var before = 0.0; // what stands before the block of 4 * LANES tokens in which the sum passes the goal
  var block = 0u;
  var passed = 0.0;
  for (var first = 0u; 4u * first < V; first += LANES) {
    let part = lane_sum(vec4f(total(weights(row, first + lane, border, last_equal, highest, scale))), lane).x;
    if (passed <= goal && part > 0.0) {
      block = first;
      before = passed;
    }
    passed += part;
  }
  var token = 0u;
  var found = false;
  for (var i = 0u; i < LANES; i++) {
    let w = weights(row, block + i, border, last_equal, highest, scale);
    for (var c = 0u; c < 4u; c++) {
      if (!found && w[c] > 0.0) {
        before += w[c];
        token = 4u * (block + i) + c;
        found = before > goal;
      }
    }
  }
  return token;
}

// The weights of four tokens, 0 of those that are not eligible.
fn weights(row: u32, col: u32, border: u32, last_equal: u32, highest: f32, scale: f32) -> vec4f {
  if (4u * col >= V) { return vec4f(0.0); }
  let v = values_of(row, col);
  let keys = keys_of(v);
  let ids = ids_of(col);
  let eligible = (keys > vec4u(border)) | ((keys == vec4u(border)) & (ids <= vec4u(last_equal)));
  return select(vec4f(0.0), exp2((v - highest) * scale), eligible & (ids < vec4u(V)));
}

@compute @workgroup_size(LANES) fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let row = group.x;
  let token = draw(row, local.x);
  if (local.x == 0u) {
    tokens[step.slot * ROWS + row] = token;
    NEXT
  }
}
