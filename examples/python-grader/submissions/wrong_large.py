# Right as long as there is one line.
print(sum(int(word) ** 2 for word in input().split()))
