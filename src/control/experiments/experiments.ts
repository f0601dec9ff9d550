import './traffic-split.ts';
import './split-comparison.ts';
import './cost-analysis.ts';
import './comparisons.ts';
