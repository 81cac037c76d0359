package object

// ExpireMembers removes up to budget members of a collection whose deadline is not
// after now, those that expire first before others, and tells visit of each before
// it goes. It returns how many members are left, expired ones included; when there
// is none, the caller removes the key.
func ExpireMembers(h Home, t Type, now int64, budget int, visit func(member Element)) (left int) {
	switch {
	case h.Encoding() == Hashtable:
		d := loadDict(h, t == Hash)
		changed := false
		for ; budget > 0; budget-- {
			it, ok := d.firstDue(now)
			if !ok {
				break
			}
			if !changed {
				h.Change()
				changed = true
			}
			visit(it.member)
			d.removeItem(&it)
		}
		if changed {
			d.save()
		}
		return d.len()
	case t == Hash:
		return expirePacked(h, now, budget, visit)
	}
	panic("invariant violated: a collection whose members do not expire")
}

// expirePacked is ExpireMembers of a packed hash; in the order of its fields.
func expirePacked(home Home, now int64, budget int, visit func(member Element)) (left int) {
	h := HashView{home: home, now: now}
	changed := false
	for at := h.packed().first; budget > 0 && h.Expired(); {
		p := h.packed()
		if at >= len(p.root) {
			break
		}
		field, _, deadline, size := p.entry(at)
		if !h.gone(deadline) {
			at += size
			continue
		}
		if !changed {
			home.Change()
			changed = true
		}
		visit(field)
		before := p.first
		h.cut(at)
		at += h.packed().first - before
		budget--
	}
	if changed {
		h.noteDeadline()
	}
	return h.Len()
}

// RemoveMember removes one member, whatever its deadline. It tells whether it was
// there, and how many are left.
func RemoveMember(h Home, t Type, member []byte) (there bool, left int) {
	if t == Hash {
		view := HashOf(h, nil, 0)
		there = view.Delete(member)
		return there, view.Len()
	}
	d := loadDict(h, false)
	if _, _, there = d.get(member); there {
		h.Change()
		d.remove(member)
		d.save()
	}
	return there, d.len()
}
