// SPDX-License-Identifier: GPL-2.0-or-later
// Copyright (C) 2026 The thin-pool-tools authors
// page.mjs PAGE THIN_LS_JSON BLOCK_BYTES CHROMIUM SHOTS: opens the page at two widths in two schemes, prints
// what is wrong with it, and exits with 1 then.  Screenshots go to the folder SHOTS.
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [page, list, blockBytes, executablePath, shots] = process.argv.slice(2);
const want = JSON.parse(readFileSync(list, 'utf8')).devices;
const wrong = [];
const size = n => {
	const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
	let u = 0, v = n * Number(blockBytes);
	for (; v >= 1024 && u < 4; u++) v /= 1024;
	return (v % 1 ? v.toFixed(v < 10 ? 2 : 1) : v) + '\u00a0' + units[u];
};

// in a container there is neither a sandbox nor much of /dev/shm
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });

async function look(colorScheme, width) {
	const at = `${colorScheme} ${width}: `, no = (ok, text) => ok || wrong.push(at + text);
	const p = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
	p.on('console', m => wrong.push(at + 'console: ' + m.text()));
	p.on('pageerror', e => wrong.push(at + 'error: ' + e.message));
	p.on('request', r => r.url().startsWith('file:') || r.url().startsWith('data:') || wrong.push(at + 'asks the network for ' + r.url()));
	await p.goto('file://' + page);
	no(await p.evaluate(() => document.documentElement.dataset.ready) === 'yes', 'the script has not come to its end');
	no(await p.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'is wider than the window');

	const rows = await p.$$eval('#devices tbody tr', all => all.map(tr => [tr.dataset.dev,
		...['Mapped', 'Exclusive', 'Shared'].map(l => tr.querySelector(`[data-label="${l}"]`).textContent)].join(' ')));
	const told = want.map(d => [d.dev_id, size(d.mapped_blocks), size(d.exclusive_blocks), size(d.shared_blocks)].join(' '));
	no(rows.sort().join('\n') === told.sort().join('\n'), `the devices are ${rows}, thin_ls says ${told}`);
	no(!want.length || await p.locator('#devices .mini').first().isVisible(), 'the bars are not to be seen');

	// whose blocks: the sum of the table below the map, and the mouse, a finger and the keyboard on the map
	const sums = await p.$$eval('#ranges tbody tr', all => all.reduce((s, tr) => {
		const n = i => Number(tr.children[i].textContent.replace(/\D/g, ''));
		return [s[0] + n(1), s[1] + n(2), s[2] + n(3)];
	}, [0, 0, 0]));
	no(sums[0] === want.reduce((s, d) => s + d.exclusive_blocks, 0), `the map has ${sums[0]} exclusive blocks`);
	await p.locator('#map').scrollIntoViewIfNeeded();
	const box = await p.locator('#map').boundingBox(), text = () => p.locator('#told b').textContent();
	await p.mouse.move(box.x + 2, box.y + 2);
	no(/^Blocks? 0( to |$)/.test(await text()), 'the mouse finds no range: ' + await text());
	await p.locator('#map').focus();
	await p.keyboard.press('End');
	const last = await text();
	await p.keyboard.press('ArrowLeft');
	no(/\d/.test(last) && last !== await text(), 'the arrow keys do not walk: ' + last);
	no(await p.locator('#told').getAttribute('aria-live') === 'polite', 'ranges are not read aloud');
	no(/exclusive|of one device/.test(await p.locator('#map').getAttribute('aria-label')), 'the map has no words');
	no(await p.locator('h1').count() === 1 && await p.locator('html').getAttribute('lang') === 'en', 'no heading, no language');
	await p.screenshot({ path: `${shots}/${colorScheme}-${width}.png`, fullPage: true });

	// contrast of text: 4.5 to 1 (WCAG AA)
	const poor = await p.evaluate(() => {
		const rgb = s => s.match(/[\d.]+/g).map(Number), lum = c => c.slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
			.reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
		const under = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3]) return c; } return [255, 255, 255]; };
		const bad = new Set();
		for (const e of document.querySelectorAll('h1,h2,p,dt,dd,td,th,li,small,summary,footer,#told b')) {
			if (!e.textContent.trim() || !e.offsetParent) continue;
			const [a, b] = [lum(rgb(getComputedStyle(e).color)), lum(under(e))].sort((x, y) => y - x);
			if ((a + 0.05) / (b + 0.05) < 4.5) bad.add(e.tagName + '.' + e.className);
		}
		return [...bad];
	});
	no(!poor.length, 'too little contrast: ' + poor);
	await p.close();
}

for (const scheme of ['light', 'dark'])
	for (const width of [390, 1400])
		await look(scheme, width);
await browser.close();
if (wrong.length) {
	console.log(wrong.join('\n'));
	process.exit(1);
}
