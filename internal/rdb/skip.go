package rdb

// skip passes over a value of a type, as Value would read it, and looks at no more than
// the lengths. So it is for whoever wants to know where a value ends, and leaves reading it
// to somebody else.
func (r *Reader) skip(t Type) error {
	switch t {
	case TypeString:
		return r.skipTexts(1)
	case TypeList, TypeSet, TypeListQuicklist:
		return r.skipEach(func() error { return r.skipTexts(1) })
	case TypeHash:
		return r.skipEach(func() error { return r.skipTexts(2) })
	case TypeZSet:
		return r.skipEach(r.skipTextScore)
	case TypeZSet2:
		return r.skipEach(func() error { return r.skipThen(1, 8) })
	case TypeHashValkey:
		return r.skipEach(func() error { return r.skipThen(2, 8) })
	case TypeListQuicklist2:
		return r.skipEach(func() error { return r.skipTimed(1) })
	case TypeHashMetadataPreGA:
		return r.skipEach(func() error { return r.skipTimed(2) })
	case TypeHashMetadata, TypeSetMetadata:
		texts := 2
		if t == TypeSetMetadata {
			texts = 1
		}
		if _, err := r.take(8); err != nil {
			return err
		}
		return r.skipEach(func() error { return r.skipTimed(texts) })
	case TypeStream, TypeStream2, TypeStream3:
		return r.skipStream(t)
	case TypeHashListpackEx:
		if _, err := r.take(8); err != nil {
			return err
		}
	}
	if t.Kind() == Unknown {
		return ErrUnsupported
	}
	return r.skipTexts(1)
}

// skipEach passes over elements behind their number.
func (r *Reader) skipEach(element func() error) error {
	n, err := r.Length()
	for ; err == nil && n > 0; n-- {
		err = element()
	}
	return err
}

func (r *Reader) skipTexts(n int) error {
	for range n {
		length, encoded, err := r.length()
		if err != nil {
			return err
		}
		switch {
		case !encoded && length > textBytesMax:
			return corrupt("a text of %d bytes at %d", length, r.Offset())
		case !encoded:
		case length == encodedLZF:
			if length, err = r.Length(); err == nil {
				_, err = r.Length()
			}
		case length > encodedLZF:
			return corrupt("a text in the unknown encoding %d at %d", length, r.Offset())
		default:
			length = 1 << length
		}
		if err == nil {
			_, err = r.take(length)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// skipThen passes over texts and so many bytes behind them.
func (r *Reader) skipThen(texts int, bytes uint64) error {
	err := r.skipTexts(texts)
	if err == nil {
		_, err = r.take(bytes)
	}
	return err
}

// skipTimed passes over a number and texts behind it.
func (r *Reader) skipTimed(texts int) error {
	if _, err := r.Length(); err != nil {
		return err
	}
	return r.skipTexts(texts)
}

func (r *Reader) skipTextScore() error {
	if err := r.skipTexts(1); err != nil {
		return err
	}
	n, err := r.Byte()
	if err != nil || n >= scoreNaN {
		return err
	}
	_, err = r.take(uint64(n))
	return err
}

func (r *Reader) skipLengths(n int) error {
	for range n {
		if _, err := r.Length(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) skipStream(t Type) error {
	if err := r.skipEach(func() error { return r.skipTexts(2) }); err != nil {
		return err
	}
	numbers, ofGroup, ofConsumer := 3, 2, uint64(8)
	if t != TypeStream {
		numbers, ofGroup = 8, 3
	}
	if t == TypeStream3 {
		ofConsumer = 16
	}
	if err := r.skipLengths(numbers); err != nil {
		return err
	}
	pending := func() error {
		if _, err := r.take(rawIDBytes + 8); err != nil {
			return err
		}
		return r.skipLengths(1)
	}
	owned := func() error {
		_, err := r.take(rawIDBytes)
		return err
	}
	consumer := func() error {
		if err := r.skipThen(1, ofConsumer); err != nil {
			return err
		}
		return r.skipEach(owned)
	}
	return r.skipEach(func() error {
		if err := r.skipTexts(1); err != nil {
			return err
		}
		if err := r.skipLengths(ofGroup); err != nil {
			return err
		}
		if err := r.skipEach(pending); err != nil {
			return err
		}
		return r.skipEach(consumer)
	})
}
