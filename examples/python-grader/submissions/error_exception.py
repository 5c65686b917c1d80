numbers = [int(word) for word in input().split()]
print(numbers[1000])
