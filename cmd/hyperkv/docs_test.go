package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hyperkv/internal/testkit"
)

// What is generated is current; compatibility_test.go looks after the page that
// the binary cannot make.
func TestGeneratedDocs(t *testing.T) {
	f := func(page string, command ...string) {
		t.Helper()
		root, out := newRootCommand(), new(bytes.Buffer)
		root.SetArgs(command)
		root.SetOut(out)
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		have, err := os.ReadFile(filepath.Join("../..", page))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, out.Bytes()) {
			t.Errorf("%s is not what \"hyperkv %s\" prints (%s): run \"make docs\"", page, strings.Join(command, " "),
				firstDifference(have, out.Bytes()))
		}
	}
	f("docs/configuration.md", "config", "docs")
	f("docs/commands.md", "docs", "commands")
}

// pages are the documents of the repository.
func pages(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		switch name := filepath.Base(path); {
		case err != nil:
			return err
		case entry.IsDir() && (name == ".git" || name == "testdata" || name == "bin" || name == "data"):
			return filepath.SkipDir
		case strings.HasSuffix(name, ".md"):
			files = append(files, path)
		}
		return nil
	})
	if err != nil || len(files) < 6 {
		t.Fatalf("pages %q, error %v", files, err)
	}
	return files
}

var (
	linkPattern = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	codePattern = regexp.MustCompile("(?ms)^```.*?^```$|`[^`\n]+`")
)

// Every link between files of the repository leads somewhere, to a heading too.
func TestLinks(t *testing.T) {
	for _, page := range pages(t) {
		for _, match := range linkPattern.FindAllStringSubmatch(codePattern.ReplaceAllString(read(t, page), ""), -1) {
			link := match[1]
			if strings.Contains(link, "://") {
				continue
			}
			file, anchor, _ := strings.Cut(link, "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s: %v", page, link, err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s: %s: no such heading", page, link)
			}
		}
	}
}

var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchors are the names under which the headings of a page can be reached.
func anchors(page string) (names []string) {
	for _, line := range strings.Split(codePattern.ReplaceAllString(page, ""), "\n") {
		if heading, found := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); found && strings.HasPrefix(line, "#") {
			name := notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			names = append(names, strings.ReplaceAll(name, " ", "-"))
		}
	}
	return names
}

// Every file that the map of the rooms names is there.
func TestArchitectureNamesFiles(t *testing.T) {
	text := read(t, "../../docs/ARCHITECTURE.md")
	for _, match := range regexp.MustCompile(`\b(?:cmd|engine|shard|netio|resp|bench|internal)/[\w/]+(?:\.go)?`).FindAllString(text, -1) {
		if strings.Contains(text, match+"<") || strings.HasSuffix(match, "/") {
			continue
		}
		if _, err := os.Stat(filepath.Join("../..", match)); err != nil {
			t.Error(err)
		}
	}
}

// The tests that docs/durability.md names are where it says.
func TestDurabilityNamesTests(t *testing.T) {
	page := read(t, "../../docs/durability.md")
	named := 0
	for _, paragraph := range strings.Split(page, "\n\n") {
		if !strings.HasPrefix(paragraph, "Test") {
			continue
		}
		var tests []string
		for _, match := range regexp.MustCompile("`(Test\\w+)`|`([\\w/]+_test\\.go)`").FindAllStringSubmatch(paragraph, -1) {
			if match[2] == "" {
				tests = append(tests, match[1])
				continue
			}
			source := read(t, filepath.Join("../..", match[2]))
			for _, test := range tests {
				if named++; !strings.Contains(source, "\nfunc "+test+"(") {
					t.Errorf("%s has no %s", match[2], test)
				}
			}
			tests = nil
		}
		if len(tests) > 0 {
			t.Errorf("it is not said where %q are", tests)
		}
	}
	if sections := strings.Count(page, "\n## "); named < 2*sections {
		t.Errorf("%d tests are named for %d sections", named, sections)
	}
}

// The first session of the README is what a client sees.
func TestReadmeSession(t *testing.T) {
	prompt := regexp.MustCompile(`(?m)^127\.0\.0\.1:6379(?:\(TX\))?> `)
	_, session, found := strings.Cut(read(t, "../../README.md"), "$ redis-cli\n")
	if !found {
		t.Fatal("README.md has no session")
	}
	session, _, _ = strings.Cut(session, "```")
	conn := dial(t, "tcp", open(t, testkit.ServerOptions{Shards: 2, Inline: true}).net.Addr()[0])
	for _, exchange := range prompt.Split(session, -1)[1:] {
		command, want, _ := strings.Cut(exchange, "\n")
		args, err := testkit.Split(command)
		if err != nil {
			t.Fatal(err)
		}
		v, err := conn.Do(args...)
		if err != nil {
			t.Fatal(err)
		}
		if have := strings.TrimSpace(v.String()); have != strings.TrimSpace(want) {
			t.Errorf("%s\nREADME: %s\nserver: %s", command, want, have)
		}
	}
}

// The bounds that the compatibility page tells users are those of the engine.
func TestBoundsInPages(t *testing.T) {
	source, page := read(t, "../../engine/feed.go"), read(t, compatibilityPage)
	f := func(constant, sentence string) {
		t.Helper()
		match := regexp.MustCompile(constant + ` += (\d+) << 20`).FindStringSubmatch(source)
		if match == nil {
			t.Fatalf("engine/feed.go has no %s in MiB", constant)
		}
		if want := strings.ReplaceAll(sentence, "N", match[1]+" MiB"); !strings.Contains(page, want) {
			t.Errorf("docs/compatibility.md does not say %q", want)
		}
	}
	f("outputHoldBytes", "while N of replies are unread")
	f("outputResumeBytes", "once N are left")
	f("inputHeldBytes", "waits, up to N")
}

var metricPattern = regexp.MustCompile("(?m)^\\| `(hyperkv_\\w+)")

// docs/metrics.md describes what the admin port shows, all of it and no more.
func TestMetricsPage(t *testing.T) {
	out := new(bytes.Buffer)
	open(t, testkit.ServerOptions{Shards: 2, Inline: true}).WriteMetrics(out)
	var shown, described []string
	for _, match := range regexp.MustCompile(`(?m)^# TYPE (\w+)`).FindAllStringSubmatch(out.String(), -1) {
		shown = append(shown, match[1])
	}
	for _, match := range metricPattern.FindAllStringSubmatch(read(t, "../../docs/metrics.md"), -1) {
		described = append(described, match[1])
	}
	slices.Sort(shown)
	slices.Sort(described)
	if !slices.Equal(shown, described) {
		t.Errorf("shown:     %q\ndescribed: %q", shown, described)
	}
}

// The programs in the pages are the examples that the compiler and the tests know.
func TestExamplesInPages(t *testing.T) {
	examples := ""
	files, err := filepath.Glob("../../engine/embedded/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		examples += dedent(read(t, file))
	}
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	seen := 0
	for _, page := range []string{"../../README.md", "../../docs/embedding.md"} {
		for _, match := range blocks.FindAllStringSubmatch(read(t, page), -1) {
			seen++
			if !strings.Contains(examples, dedent(match[1])) {
				t.Errorf("%s: no example of engine/embedded says\n%s", page, match[1])
			}
		}
	}
	if seen == 0 {
		t.Error("no page shows a program")
	}
}

// dedent leaves out all indentation.
func dedent(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
