#!/bin/sh
# SPDX-License-Identifier: MIT
# custos trace plot: pictures of a recorded run.
. tests/support/script.sh
need_kvm
t=$work/t.trace
run run -q -r "$t" -k counter "$CUSTOS_BUILD/guest/counter.elf" 8
expect "a run to look at" 0

# ---- characters ----
unset NO_COLOR
run trace plot "$t"
expect "characters: what, who, where, when" 0 "counter.elf 8" \
	"18 accesses (10 reads, 8 writes) by 1 process to 1 range in " \
	"counter.elf #1" "counter +0x0" "8 bytes +0x1" \
	"time " " the run"
if [ "$(grep -c '█.*│$' "$work/out")" -ge 8 ]; then
	pass "a row for each byte"
else
	fail "a row for each byte" "$work/out"
fi
if grep -q "$(printf '\033')" "$work/out"; then
	fail "no colours but on a terminal" "$work/out"
else
	pass "no colours but on a terminal"
fi
run trace plot --ascii --by-number "$t"
expect "letters" 0 "+0x7|aAaA" "access number" \
	"(capitals: wrote, small: only read)"
if LC_ALL=C grep -q '[^ -~]' "$work/out"; then
	fail "nothing but ASCII" "$work/out"
else
	pass "nothing but ASCII"
fi
run trace plot -r counter+2+2 --when store "$t"
expect "a selection" 0 "8 accesses (0 reads, 8 writes)" "2 bytes +0x3"
run trace plot --when size=3 "$t"
expect "nothing selected is said" 0 "nothing here: no access selected"

# on_terminal ARGUMENTS: in colours?
on_terminal()
{
	TERM=xterm LC_ALL=C.UTF-8 timeout 30 script -qec \
		"$CUSTOS trace plot $t" /dev/null </dev/null >"$work/out" 2>&1
	grep -q "$(printf '\033')\[38;5;" "$work/out"
}
if ! command -v script >/dev/null; then
	skip "colours on a terminal" "no script(1) to make a terminal"
elif on_terminal; then
	pass "colours on a terminal"
	export NO_COLOR=1
	if on_terminal; then
		fail "NO_COLOR is respected" "$work/out"
	else
		pass "NO_COLOR is respected"
	fi
	unset NO_COLOR
else
	fail "colours on a terminal" "$work/out"
fi

# ---- pictures ----
run trace plot -o "$work/t.svg" "$t"
expect "SVG by the file's name" 0
mv "$work/t.svg" "$work/out"
expect "is one, with titles and axes" 0 "<svg xmlns=" "</svg>" ">counter<" \
	">+0x7<" ">time " ">8 bytes at 0x"
run trace plot --svg --by-number "$t"
expect "SVG to standard output" 0 "<svg xmlns=" ">access number<"
run trace plot -o "$work/t.png" "$t"
expect "PNG" 0

run trace plot -o "$work/t.html" "$t"
expect "a page" 0
cp "$work/t.html" "$work/out"
expect "in one piece" 0 "<!DOCTYPE html>" "default-src 'none'" "</html>"
if grep -E "(src|href)=|url\(|@import" "$work/t.html" >"$work/out"; then
	fail "that refers to nothing else" "$work/out"
else
	pass "that refers to nothing else"
fi

# ---- a browser shows them ----
for browser in chromium chromium-browser google-chrome none; do
	command -v $browser >/dev/null && break
done

# browse FILE OPTION...: the browser's word about a file, in $work/out
browse()
{
	file=$1
	shift
	timeout -k 5 90 $browser --headless=new --no-sandbox --disable-gpu \
		--user-data-dir="$work/profile" --window-size=1280,900 "$@" \
		"file://$file" >"$work/out" 2>"$work/err"
	code=$?
}

if [ $browser = none ]; then
	skip "a browser shows the pictures" \
		"no browser (apt-get install chromium)"
else
	{
		printf '<img id=i src="data:image/png;base64,%s">' \
			"$(base64 -w0 "$work/t.png")"
		cat <<-'END'
		<script>
		addEventListener("load", () => {
			const i = document.getElementById("i")
			const c = document.createElement("canvas")
			c.width = i.naturalWidth
			c.height = i.naturalHeight
			const d = c.getContext("2d")
			d.drawImage(i, 0, 0)
			const p = d.getImageData(0, 0, c.width, c.height).data
			let blue = 0
			for (let k = 0; k < p.length; k += 4)
				blue += p[k] == 0 && p[k + 1] == 114 &&
					p[k + 2] == 178
			document.body.append("seen " + c.width + " x " +
				c.height + (blue > 1000 ? ", much blue" : ""))
		})
		</script>
		END
	} >"$work/see.html"
	browse "$work/see.html" --virtual-time-budget=2000 --dump-dom
	expect "a browser decodes the PNG" 0 "seen 2400 x " ", much blue"

	cat "$work/t.html" - >"$work/try.html" <<-'END'
	<script>
	const tell = text => document.body.append("\nseen: " + text + "\n")
	function pointAt(name, index) {
		const c = plot.cells[index], b = plot.bands[c[BAND]]
		const p = new DOMPoint(plot.left + (c[COLUMN] + 0.5) * pitch,
			b.top + (c[ROW] + 0.5) * b.height / b.rows)
			.matrixTransform(svg.getScreenCTM())
		svg.dispatchEvent(new MouseEvent(name,
			{ clientX: p.x, clientY: p.y, bubbles: true }))
	}
	const left = () => parts.filter(p => p.style.display != "none")
	const set = (id, value) => {
		const input = find(id)
		if (input.type == "checkbox") input.checked = value
		else input.value = value
		input.dispatchEvent(new Event("input"))
	}
	const all = left().length
	tell("parts " + (all > 0))
	pointAt("mousemove", 0)
	tell("tip " + find("tip").innerText.replace(/\s+/g, " "))
	pointAt("click", plot.cells.findIndex(c => c[WRITES]))
	tell("who " + find("who").innerText.replace(/\s+/g, " "))
	set("reads", false)
	tell("writes only " + left().every(p => p.classList.contains("w")))
	set("reads", true)
	set("words", "no such range")
	tell("none " + left().length)
	set("words", "COUNTER")
	tell("again " + (left().length == all))
	document.querySelector("#processes input").click()
	tell("nobody's " + left().length)
	document.querySelector("#processes input").click()
	set("words", "")
	// A pointer at a share of the picture's width and height.
	const at = (x, y) => {
		const b = svg.getBoundingClientRect()
		return { clientX: b.x + x * b.width, clientY: b.y + y * b.height,
			bubbles: true, cancelable: true, isPrimary: true }
	}
	const wide = () => Math.round(full.width / view.width * 100) / 100
	const turn = (x, y, deltaY) => svg.dispatchEvent(
		new WheelEvent("wheel", { ...at(x, y), deltaY }))
	const before = pointOf(at(0.5, 0.5))
	tell("page scrolls " + turn(0.5, 0.5, 100))
	tell("wheel kept " + turn(0.5, 0.5, -200))
	const after = pointOf(at(0.5, 0.5))
	tell("closer " + wide() + " " + svg.getAttribute("viewBox"))
	tell("stays " + (Math.abs(before.x - after.x) < 0.5 &&
		Math.abs(before.y - after.y) < 0.5))
	tell("says " + find("view").textContent)
	const inside = plot.cells.findIndex(c => c[COLUMN] > plot.columns / 3)
	pointAt("mousemove", inside)
	tell("still " + find("tip").innerText.replace(/\s+/g, " "))
	for (let i = 0; i < 20; i++) turn(0.5, 0.5, -200)
	tell("closest " + wide())
	tell("button " + find("whole").disabled)
	find("whole").click()
	tell("whole " + wide() + find("view").textContent)
	const pointer = (name, x, y, more) => svg.dispatchEvent(
		new PointerEvent(name, { ...at(x, y), ...more }))
	const clicks = find("who").innerText
	pointer("pointerdown", 0.4, 0.4)
	pointer("pointermove", 0.5, 0.5)
	pointer("pointermove", 0.6, 0.6)
	pointer("pointerup", 0.6, 0.6)
	svg.dispatchEvent(new MouseEvent("click", at(0.6, 0.6)))
	tell("drawn " + wide() + " at " + Math.round(view.x / full.width * 100) +
		" no click " + (find("who").innerText == clicks))
	pointer("pointerdown", 0.5, 0.5, { shiftKey: true })
	pointer("pointermove", 0.75, 0.5)
	pointer("pointerup", 0.75, 0.5)
	tell("moved to " + Math.round(view.x / full.width * 100))
	svg.dispatchEvent(new MouseEvent("dblclick", at(0.5, 0.5)))
	tell("twice " + wide())
	dispatchEvent(new KeyboardEvent("keydown", { key: "+" }))
	tell("key " + wide())
	dispatchEvent(new KeyboardEvent("keydown", { key: "0" }))
	tell("loaded " + performance.getEntriesByType("resource").length)
	</script>
	END
	browse "$work/try.html" --virtual-time-budget=4000 --dump-dom
	grep "^seen: " "$work/out" >"$work/seen"
	mv "$work/seen" "$work/out"
	expect "the page: pointer, click, filters, nothing loaded" 0 \
		"parts true" "tip counter +0x0 " "counter.elf #1: 1 read" \
		"counter.elf #1 0 1 0 #" "main" "counter.c:" \
		"custos trace print -r 0x" "writes only true" "none 0" \
		"again true" "nobody's 0" "loaded 0"
	expect "it goes closer by wheel, rectangle and key" 0 \
		"page scrolls true" "wheel kept false" "closer 2 " \
		"stays true" "says 0." ": counter +0x0 to +0x" "still counter " \
		"closest 64" "button false" "whole 1" "drawn 5 at 40 no click true" \
		"moved to 35" "twice 1" "key 1.5"
fi

# ---- wrong usage ----
run trace plot
expect "which trace" 125 "which trace?"
run trace plot --svg --png "$t"
expect "two kinds at once" 125 "one kind of picture at a time"
run trace plot -o /nowhere/t.svg "$t"
expect "where nothing can be written" 125 "cannot write /nowhere/t.svg"
run trace plot --svg -o /dev/full "$t"
expect "a full disk" 125 "cannot write /dev/full"
run trace plot "$0"
expect "what is no trace" 125 "is not a trace"
finish
