package strings

import "testing"

// The digests of prefixes of one pseudo-random text, as the reference
// implementation gives them: every class of lengths and its edges.
func TestXXH3(t *testing.T) {
	text := make([]byte, 5000)
	for i := range text {
		text[i] = byte(i*i>>3 + i*7 + 1)
	}
	for _, known := range []struct {
		length int
		want   uint64
	}{
		{0, 0x2d06800538d394c2},
		{1, 0xe12ef9d2eb86ceeb},
		{2, 0xe406c97925067f24},
		{3, 0x5c83885a0fb5d516},
		{4, 0xf73929fdbc6af7c0},
		{5, 0x4a9af70e1edeec21},
		{7, 0xab18765fc9cb5ce8},
		{8, 0x54ee7241be01c5da},
		{9, 0x8ca23e0d49472e68},
		{12, 0x3aed7d4c08d43ec4},
		{15, 0x77c0b6821a97a7b7},
		{16, 0xee17f3e2b466c650},
		{17, 0xb937f308a75806db},
		{31, 0x78178f7ac1b2b41a},
		{32, 0x921be14dba0e91a3},
		{33, 0xd6d8bde6ac5ad148},
		{64, 0xd11284e08a5b9ff4},
		{65, 0x6a419e5e5a4d1376},
		{96, 0x36c155c76bf9d45e},
		{97, 0x42ed1eebdba8849d},
		{127, 0x5110f21afa5b284b},
		{128, 0x0788964bbb4c9de7},
		{129, 0x41f89680eadb434e},
		{143, 0xb23fa4c45f2b40da},
		{144, 0xf3334f6b01abd247},
		{160, 0x462738c4572b484b},
		{200, 0x8c15597046855772},
		{239, 0x7fa97c94cf402bcf},
		{240, 0xa494ef7b6c905206},
		{241, 0xcfdf275a5a35e8c2},
		{255, 0x6c2ee0d7d1aca022},
		{256, 0x484819748f913ddb},
		{257, 0x3be1212a699c5721},
		{320, 0x6219b73665f1b0ec},
		{512, 0x9b8189e789340142},
		{1023, 0xd7147e101b0950f9},
		{1024, 0xda75a381e382fd90},
		{1025, 0xad0d6fdaea7708a1},
		{1088, 0x84b2a785136cd9c3},
		{1089, 0x11e9d3623d97ac86},
		{2047, 0x95041c4bc43beb4e},
		{2048, 0x117a301c392f6f5e},
		{2049, 0xb59bd76c354b04ef},
		{4096, 0x8163158ae8d85aeb},
		{5000, 0x4a31093974e0d487},
	} {
		if have := xxh3(text[:known.length]); have != known.want {
			t.Errorf("%d bytes: %016x, want %016x", known.length, have, known.want)
		}
	}
}

// What clients that were written against Redis 8.4 expect.
func TestDigest(t *testing.T) {
	for value, want := range map[string]string{
		"":            "2d06800538d394c2",
		"hello":       "9555e8555c62dcfd",
		"123":         "404a763b3f4c8c9a",
		"v8":          "0cc76dbb41381419",
		"Hello world": "b6acb9d84a38ff74",
		"v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd": "00006c38adf31777",
	} {
		if have := string(appendDigest(nil, []byte(value))); have != want {
			t.Errorf("%q: %s, want %s", value, have, want)
		}
	}
}

func BenchmarkXXH3(b *testing.B) {
	text := make([]byte, 64<<10)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		xxh3(text)
	}
}
