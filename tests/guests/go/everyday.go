// What a Go program does every day: goroutines, maps, JSON, files, time.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"
)

type report struct {
	Args  []string
	Env   []string
	Files map[string]string
	Total int
}

func main() {
	found := report{Args: os.Args[1:], Env: os.Environ(), Files: map[string]string{}}
	err := filepath.WalkDir("/in", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		bytes, err := os.ReadFile(path)
		found.Files[path] = fmt.Sprintf("%x", sha256.Sum256(bytes))[:16]
		return err
	})
	check(err)

	// Goroutines take turns on the one thread.
	var wait sync.WaitGroup
	squares := make(chan int)
	for number := 1; number <= 100; number++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			squares <- number * number
		}()
	}
	go func() { wait.Wait(); close(squares) }()
	for square := range squares {
		found.Total += square
	}

	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println("stdin:", lines.Text())
	}
	// The order of a map is random, but the same random for the same job.
	for key := range map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true} {
		fmt.Print(key, " ")
	}
	fmt.Println(rand.Intn(1_000_000))

	start := time.Now()
	time.Sleep(time.Hour)
	fmt.Println(start.UTC().Format("2006-01-02"), time.Since(start) >= time.Hour)
	_, err = os.ReadFile("/etc/passwd")
	fmt.Println("outside:", err)
	err = os.WriteFile("/in/new", nil, 0o644)
	fmt.Println("writing an input:", err)

	bytes, err := json.MarshalIndent(found, "", " ")
	check(err)
	check(os.MkdirAll("/out/a/b", 0o755))
	check(os.WriteFile("/out/a/b/report.json", bytes, 0o644))
	names := []string{}
	entries, err := os.ReadDir("/out/a/b")
	check(err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	sort.Strings(names)
	fmt.Println(names)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
