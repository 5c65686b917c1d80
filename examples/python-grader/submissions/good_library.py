from collections import Counter
from fractions import Fraction
from functools import reduce
import re
import sys

counts = Counter(re.findall(r"-?\d+", sys.stdin.read()))
total = reduce(lambda total, item: total + Fraction(int(item[0]) ** 2 * item[1]), counts.items(), Fraction(0))
print(total)
