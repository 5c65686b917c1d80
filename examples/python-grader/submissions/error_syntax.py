print(sum(int(word) ** 2 for word in open(0).read().split())
