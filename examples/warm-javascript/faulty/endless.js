// Never ends: its job is stopped when its fuel is used up.
let steps = 0;
while (true) steps += 1;
