package netio

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// A stage is a queue of bytes: compared with one slice.
func TestStageModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s stage
		var model []byte
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				p := make([]byte, rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, 4*chunkBytes)).Draw(t, "n"))
				fill(p, next)
				next += len(p)
				s.add(p)
				model = append(model, p...)
			},
			"pop": func(t *rapid.T) {
				if s.bytes == 0 {
					t.Skip("empty")
				}
				n := len(s.front())
				if !bytes.Equal(s.front(), model[:n]) {
					t.Fatal("front differs")
				}
				model = model[n:]
				s.pop()
			},
			"drop": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "really") == 0 {
					s.drop()
					model = nil
				}
			},
			"": func(t *rapid.T) {
				sum := 0
				for i, chunk := range s.chunks {
					if i >= s.head && len(chunk) == 0 || i < s.head && chunk != nil {
						t.Fatalf("chunk %d of %d, head %d: %d bytes", i, len(s.chunks), s.head, len(chunk))
					}
					sum += len(chunk)
				}
				if s.bytes != len(model) || sum != len(model) {
					t.Fatalf("%d bytes, %d in chunks, want %d", s.bytes, sum, len(model))
				}
				if len(model) == 0 && s.chunks != nil {
					t.Fatal("an empty stage keeps memory")
				}
			},
		})
	})
}
