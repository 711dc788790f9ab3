// The slides for teachers: for each what is said, the formula, the figure that computes, and what its teacher has in mind.

/**
 * @typedef {object} Words of one language
 * @property {string} title
 * @property {string[]} points {{name}} is a formula
 * @property {string} notes for the teacher
 */
/**
 * @typedef {object} Slide
 * @property {string} id
 * @property {string} [formula]
 * @property {Record<string, string>} [figure] its attributes
 * @property {Words} en
 * @property {Words} zh
 */

/** @type {Slide[]} */
export const SLIDES = [
  {
    id: 'title',
    en: {
      title: 'How a network draws',
      points: ['Diffusion: noise, and the way back', 'Guidance: asking for a class more strongly, and what it costs', 'Every figure computes: a real network runs in this page'],
      notes: 'Arrow keys or a remote control lead on; N hides and shows these notes, F fills the screen. The code leads listeners to the figure on show.',
    },
    zh: {
      title: '神经网络怎样画图',
      points: ['扩散：加噪，再走回来', '引导：更强烈地要求类别，以及代价', '每幅图都在计算：真正的网络就在本页运行'],
      notes: '方向键或翻页笔翻页；N 键显示或隐藏备注，F 键全屏。听众扫码就到正在显示的图。',
    },
  },
  {
    id: 'noise', formula: 'jump', figure: { kind: 'noise', t: '300' },
    en: { title: 'A picture that noise destroys', points: ['A picture is a list of numbers, −1 to 1', 'A little noise, many times over: or all of it in one jump', 'When can nobody tell any more what it is?'], notes: '0–8 minutes. Somebody draws, the others say stop. Compare the jump with the walk: other noise, but as much of it.' },
    zh: { title: '被噪声毁掉的图片', points: ['图片就是一串数，从 −1 到 1', '一点点噪声加很多次，或者一次加完', '什么时候起没人认得出来？'], notes: '0–8 分钟。请人上来画，其他人喊停。比较一步跳与逐步走：噪声不同，但一样多。' },
  },
  {
    id: 'question', formula: 'loss',
    en: { title: 'What would you answer?', points: ['You see the noisy picture, and are asked for the noise', 'You are judged by the mean square error', 'Many pictures could have become this one'], notes: '8 minutes. Let them answer before the next slide: whoever must be right on average answers with the mean.' },
    zh: { title: '换了你，怎么答？', points: ['你看到带噪的图片，要说出噪声', '按均方误差打分', '许多图片都可能变成这一张'], notes: '第 8 分钟。翻页之前先让他们回答：要求平均误差最小，就只能答平均。' },
  },
  {
    id: 'prediction', formula: 'estimate', figure: { kind: 'prediction', t: '900' },
    en: { title: 'The best answer is a mean', points: ['Who knows the noise knows the picture', 'Little noise: one picture. Much noise: the mean of many, a blur', 'That is why nobody draws in one step'], notes: '8–15 minutes. Move t from 100 to 950. Exercise 2.' },
    zh: { title: '最好的答案是平均', points: ['知道噪声，就知道图片', '噪声少：只有一张；噪声多：许多张的平均，一片模糊', '所以没人一步画成'], notes: '8–15 分钟。把 t 从 100 拖到 950。练习 2。' },
  },
  {
    id: 'posterior', formula: 'mean', figure: { kind: 'posterior', t: '600', back: '250' },
    en: { title: 'One step back', points: ['Known: where it is, and where it began', 'Then the place before is a bell curve, narrower than either alone', 'Draw from it'], notes: '15–20 minutes. Draw four times: other pictures, the same mean.' },
    zh: { title: '退一步', points: ['已知：现在在哪里，从哪里来', '那么前一步是一条钟形曲线，比单知道一样更窄', '从中抽样'], notes: '15–20 分钟。抽四次：图片不同，均值相同。' },
  },
  {
    id: 'reverse', figure: { kind: 'reverse', at: '50' },
    en: { title: 'All the way back', points: ['Put the estimate in the place of the picture, step back, ask again', 'With fresh noise in each step (DDPM) or without (DDIM)'], notes: '20–24 minutes. Scrub a run to and fro: where does the class appear?' },
    zh: { title: '一路走回来', points: ['用估计代替图片，退一步，再问一次', '每步加新噪声（DDPM），或者不加（DDIM）'], notes: '20–24 分钟。来回拖动进度：从哪里起看得出类别？' },
  },
  {
    id: 'steps', figure: { kind: 'reverse', at: '100', sampler: 'ddim', steps: '4' },
    en: { title: 'Four steps, or fifty', points: ['Fewer steps cost less and follow the way less exactly', 'Samplers differ in how well they guess the next stretch of it'], notes: '24–27 minutes. 4 steps against 50, from the same seed. Exercise 4.' },
    zh: { title: '四步，还是五十步', points: ['步数少，省时间，但路走得不准', '采样器的差别，在于能不能料到下一段路'], notes: '24–27 分钟。同一个种子，4 步对 50 步。练习 4。' },
  },
  {
    id: 'class', figure: { kind: 'class', at: '12' },
    en: { title: 'The class', points: ['The same noise, ten classes', 'In training the class is dropped now and then: so the network also learns to draw without one'], notes: '27–31 minutes. What would p = 0 cost? (There would be no null class, so nothing to guide with.)' },
    zh: { title: '类别', points: ['同样的噪声，十个类别', '训练时偶尔丢掉类别：网络也就学会不看类别来画'], notes: '27–31 分钟。p = 0 会有什么代价？（没有空类别，也就无从引导。）' },
  },
  {
    id: 'guidance', formula: 'code', figure: { kind: 'guidance', s: '3', step: '4' },
    en: { title: 'Guidance', points: ['Two predictions of the same picture: with the class and without', 'Their difference is the direction of the class', 'Follow it further than the class itself goes'], notes: '31–35 minutes. Drag s; watch the arrow and the last picture.' },
    zh: { title: '引导', points: ['同一张图的两个预测：有类别的和没有的', '两者之差就是类别的方向', '沿着它走得比类别本身更远'], notes: '31–35 分钟。拖动 s，看箭头和最后一张图。' },
  },
  {
    id: 'formulas', formula: 'proof',
    en: { title: 'Two ways to write it', points: ['Papers write {{w}}, programs {{s}}: the same guidance', '{{s0}}: the class is ignored. {{s1}}: as learnt. More: exaggerated'], notes: '35–38 minutes. On the board. Exercise 6.' },
    zh: { title: '两种写法', points: ['论文用 {{w}}，程序用 {{s}}：是同一种引导', '{{s0}}：不看类别；{{s1}}：照学到的来；再大：夸张'], notes: '35–38 分钟。写在黑板上。练习 6。' },
  },
  {
    id: 'price', figure: { kind: 'price', model: 'digits', s: '4' },
    en: { title: 'The price', points: ['More guidance: plainer examples, and more alike', 'Vote on the best s, then measure'], notes: '38–42 minutes. Vote first. Exercise 7.' },
    zh: { title: '代价', points: ['引导越强，例子越典型，也越相像', '先投票选最好的 s，再测量'], notes: '38–42 分钟。先投票。练习 7。' },
  },
  {
    id: 'plane', figure: { kind: 'plane', s: '4', at: '100' },
    en: { title: 'Where everything is known', points: ['Two dimensions, a formula in place of a network', 'At {{s1}} the clouds are filled as they should be', 'Beyond, a cloud is left empty'], notes: '42–45 minutes. Why that one? Exercise 8 to take home.' },
    zh: { title: '一切已知的地方', points: ['只有两维，用公式代替网络', '{{s1}} 时各团都填得正好', '再大，有一团空了'], notes: '42–45 分钟。为什么是那一团？练习 8 带回家做。' },
  },
  {
    id: 'inside', figure: { kind: 'inside', layer: '2' },
    en: { title: 'If there is time: inside the network', points: ['Layers of maps: smaller on the way down, larger on the way up', 'In the middle every place asks all others'], notes: 'For an hour, or for questions. Exercise 9.' },
    zh: { title: '有时间的话：网络内部', points: ['一层层的图：下行变小，上行变大', '在中间，每个位置去问所有位置'], notes: '一小时的课，或者回答提问时用。练习 9。' },
  },
  {
    id: 'end',
    en: { title: 'Take home', points: ['A picture is found by asking for the noise, again and again', 'Guidance exaggerates the difference that the class makes', 'The article with all figures and exercises: <a href="index.html">Learn diffusion</a>'], notes: 'The code leads to the article.' },
    zh: { title: '带走', points: ['一遍遍地问噪声，就找到了图片', '引导把类别造成的差别放大', '全部图和练习都在文章里：<a href="zh.html">学懂扩散模型</a>'], notes: '二维码通向文章。' },
  },
];
