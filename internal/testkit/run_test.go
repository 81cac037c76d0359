package testkit

import (
	"strings"
	"testing"
)

func TestTranscripts(t *testing.T) {
	redis := Redis(t)
	RunTranscripts(t, "testdata/*.txt", redis, Burst(redis))
}

// TestMismatches proves that the runner sees what is wrong.
func TestMismatches(t *testing.T) {
	redis := Redis(t)
	f := func(text, want string) {
		t.Helper()
		s, err := parseScript("story.txt", text)
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Join(play(t, s, redis), "\n")
		if want == "" && all != "" || !strings.Contains(all, want) {
			t.Errorf("%s\nreported %q, want %q", text, all, want)
		}
	}
	f("PING\n----\nPONG\n", "")
	f("PING\n----\nPANG\n", "story.txt:1: on redis\n\tPING\nwant:\n\tPANG\ngot:\n\tPONG")
	f("PING\n----\n", "got:\n\tPONG")
	f("PING\nPING\n----\nPONG\n", "got:\n\tPONG\n\tPONG")
	f("\n\nGET nosuch\n----\n(waiting)\n", "story.txt:3:")
	f("client=a\nSUBSCRIBE x\n----\n...\n\nclient=b\nPUBLISH x m\n----\n(integer) 1\n\nclient=a\n----\n1) \"message\"\n2) \"x\"\n3) \"n\"\n", `3) "m"`)
	f(strings.Repeat("PING\n----\nPANG\n\n", 9), "too many mismatches")
}

func TestLearn(t *testing.T) {
	redis := Redis(t)
	if _, ok := judgeVersion(redis); !ok {
		t.Skip("no judge")
	}
	s, err := parseScript("story.txt", "# told\nPING\n----\nold\nlines\n\nCLIENT ID\n----\n(integer) /\\d+/\n\n# differs: ours\nPING\n----\nours\n\nECHO x\n----\n")
	if err != nil {
		t.Fatal(err)
	}
	want := "# told\nPING\n----\nPONG\n\nCLIENT ID\n----\n(integer) /\\d+/\n\n# differs: ours\nPING\n----\nours\n\nECHO x\n----\n\"x\"\n"
	if got := learn(t, s, redis); got != want {
		t.Errorf("learned:\n%s\nwant:\n%s", got, want)
	}
}
